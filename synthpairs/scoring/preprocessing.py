"""Preprocessing of stored pictures for scoring: decoding, CLIP's transform, SSIM; in threads or processes.

Threads are enough on a small machine; processes avoid the interpreter lock. The results are the same.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthpairs.core.errors import error_line
from synthpairs.core.images import decode_image
from synthpairs.runtime.workers import process_pool, usable_cores
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import check_size, self_similarity

MAX_THREAD_CORES = 2  # with more cores, or a GPU, processes are faster
MIN_PICTURES = 4096  # for which processes are worth the seconds that they take to start
Transform = Callable[[Image.Image], Any]


@dataclass(frozen=True, slots=True)
class Preprocessed:
    """One picture: CLIP's input float32 [3, height, width], and its SSIM, or its pixels where a GPU computes that."""

    view: NDArray[np.float32]
    ssim: float | None
    pixels: NDArray[np.uint8] | None  # [height, width, 3]


def preprocess(payload: bytes | None, transform: Transform, spec: Ssim, on_gpu: bool) -> Preprocessed | str:
    """A stored picture preprocessed, or the error message."""
    if payload is None:
        return "the shard holds no picture under this key"
    try:
        picture = decode_image(payload)
    except ValueError as error:
        return str(error)
    try:
        if on_gpu:
            check_size(*(picture.size if spec.resize_to is None else (spec.resize_to, spec.resize_to)), spec.window)
            return Preprocessed(transform(picture).numpy(), None, np.array(picture))
        return Preprocessed(transform(picture).numpy(), self_similarity(picture, spec), None)
    except ValueError as error:  # too small, or an extreme aspect ratio
        return error_line(error)


@contextmanager
def preprocessors(
    transform: Transform, spec: Ssim, on_gpu: bool, processes: int
) -> Iterator[Callable[[Sequence[bytes | None]], list[Future]]]:
    """Yields a function from stored pictures to futures of `preprocess`; with 0 processes in threads.

    `transform` must be picklable for processes. When a process dies (say, of memory), its futures raise.
    """
    if processes:
        # Not by fork: CUDA does not survive it.
        with process_pool(processes, "spawn", _initialise, transform, spec, on_gpu) as pool:
            yield lambda payloads: [pool.submit(_preprocess, payload) for payload in payloads]
        return
    with ThreadPoolExecutor() as threads:
        yield lambda payloads: [threads.submit(preprocess, payload, transform, spec, on_gpu) for payload in payloads]


def num_processes(pictures: int, gpu: bool) -> int:
    """The number of processes that is fastest for so many pictures on this machine; 0: use threads."""
    cores = usable_cores()
    return cores if pictures >= MIN_PICTURES and (gpu or cores > MAX_THREAD_CORES) else 0


_SETTINGS: tuple[Transform, Ssim, bool]  # of a worker process


def _initialise(transform: Transform, spec: Ssim, on_gpu: bool) -> None:
    global _SETTINGS
    cv2.setNumThreads(1)
    _SETTINGS = transform, spec, on_gpu


def _preprocess(payload: bytes | None) -> Preprocessed | str:
    return preprocess(payload, *_SETTINGS)
