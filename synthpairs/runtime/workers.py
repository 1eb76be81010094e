"""Process pools whose workers end with the process that started them, even when it is killed."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Literal

from synthpairs.runtime.parent import end_with_parent


def usable_cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_pool(
    processes: int, start: Literal["fork", "spawn"], initializer: Callable[..., object] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """An executor of so many processes, each of which first calls `initializer` with the arguments.

    On Linux the kernel kills the workers when the thread that submits the first task ends, so that they hold no lock, memory
    or accelerator for longer than their parent. They leave Ctrl-C to it.
    """
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(processes, context, _initialize, (os.getpid(), initializer, arguments))


def _initialize(parent: int, initializer: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    end_with_parent(signal.SIGKILL, parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if initializer:
        initializer(*arguments)
