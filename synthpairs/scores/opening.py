"""Pictures made ready for scoring: unpacked, seen as CLIP sees them, compared with their small selves.

That is work for all cores: in threads on a small machine, else in processes, which the interpreter's lock does not hold up.
Either way a picture's result is the same.
"""

import ctypes
import io
import multiprocessing
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthpairs.scores.params import Ssim
from synthpairs.scores.ssim import check_size, self_similarity

THREADS_UP_TO = 2  # cores; with a GPU or more of them processes pay
WORTH = 4096  # pictures, from which on they pay for the seconds that their start takes
_ADDRESS = re.compile(r" <_io\.BytesIO object at 0x[0-9a-f]+>")  # of the bytes in memory, another one in every run
View = Callable[[Image.Image], Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """One picture: what CLIP sees, float32 [3, height, width]; its SSIM, or its pixels for a GPU to take it from."""

    view: NDArray[np.float32]
    ssim: float | None
    pixels: NDArray[np.uint8] | None  # [height, width, 3]


def opened(payload: bytes | None, view: View, spec: Ssim, on_gpu: bool) -> Opened | str:
    """A stored picture made ready, or what is wrong with it."""
    if payload is None:
        return "the shard holds no picture under this key"
    try:
        picture = Image.open(io.BytesIO(payload)).convert("RGB")
        if on_gpu:
            check_size(*(picture.size if spec.start is None else (spec.start, spec.start)), spec.window)
            return Opened(view(picture).numpy(), None, np.array(picture))
        return Opened(view(picture).numpy(), self_similarity(picture, spec), None)
    except Exception as error:  # there is no saying what a broken file makes its decoder raise
        message = _ADDRESS.sub("", " ".join(str(error).split()))
        return f"{type(error).__name__}: {message}"[:500]


@contextmanager
def openers(
    view: View, spec: Ssim, on_gpu: bool, processes: int
) -> Iterator[Callable[[Sequence[bytes | None]], list[Future]]]:
    """Yields what takes stored pictures and gives a future of `opened` for each; with 0 processes in threads.

    `view` must be picklable for processes. A process that dies (say, of memory) makes its futures raise.
    """
    pool: Executor
    if processes:
        context = multiprocessing.get_context("spawn")  # a fork of a process that holds a GPU is none
        pool = ProcessPoolExecutor(processes, context, _begin, (view, spec, on_gpu))
        with pool:
            yield lambda payloads: [pool.submit(_work, payload) for payload in payloads]
        return
    with ThreadPoolExecutor() as pool:
        yield lambda payloads: [pool.submit(opened, payload, view, spec, on_gpu) for payload in payloads]


def worker_processes(pictures: int, gpu: bool) -> int:
    """How many processes so many pictures are worth on this machine; 0: threads do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return cores if pictures >= WORTH and (gpu or cores > THREADS_UP_TO) else 0


_SET: tuple[View, Ssim, bool]


def _begin(view: View, spec: Ssim, on_gpu: bool) -> None:
    global _SET
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed stage takes its workers along
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the stage's to answer
    cv2.setNumThreads(1)
    _SET = view, spec, on_gpu


def _work(payload: bytes | None) -> Opened | str:
    return opened(payload, *_SET)
