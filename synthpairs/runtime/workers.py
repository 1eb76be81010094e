"""Process pools whose workers end with the process that started them, also when it is killed."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any, Literal

PR_SET_PDEATHSIG = 1


def usable_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_pool(
    processes: int, start: Literal["fork", "spawn"], begin: Callable[..., object] | None = None, *arguments: Any
) -> ProcessPoolExecutor:
    """A pool of so many processes, each of which first calls `begin` with the arguments.

    On Linux the kernel kills them when the thread that submits the first task ends, so a worker holds no lock, memory or
    accelerator for longer than its parent. They leave Ctrl-C to the parent.
    """
    context = multiprocessing.get_context(start)
    return ProcessPoolExecutor(processes, context, _begin, (os.getpid(), begin, arguments))


def _begin(parent: int, begin: Callable[..., object] | None, arguments: tuple[Any, ...]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the kernel was asked
            os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if begin:
        begin(*arguments)
