"""Pictures made ready for scoring: unpacked, seen as CLIP sees them, compared with their small selves.

That is work for all cores: in threads on a small machine, else in processes, which the interpreter's lock does not hold up.
Either way a picture's result is the same.
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

from synthpairs.core.images import decoder_message, image_or_error
from synthpairs.runtime.workers import process_pool, usable_cores
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import check_size, self_similarity

THREADS_UP_TO = 2  # cores; with a GPU or more of them processes pay
WORTH = 4096  # pictures, from which on they pay for the seconds that their start takes
View = Callable[[Image.Image], Any]


@dataclass(frozen=True, slots=True)
class Opened:
    """One picture: what CLIP sees, float32 [3, height, width]; its SSIM, or its pixels for a GPU to take it from."""

    view: NDArray[np.float32]
    ssim: float | None
    pixels: NDArray[np.uint8] | None  # [height, width, 3]


def opened(payload: bytes | None, view: View, spec: Ssim, on_gpu: bool) -> Opened | str:
    """A stored picture made ready, or what is wrong with it."""
    picture = "the shard holds no picture under this key" if payload is None else image_or_error(payload)
    if isinstance(picture, str):
        return picture
    try:
        if on_gpu:
            check_size(*(picture.size if spec.start is None else (spec.start, spec.start)), spec.window)
            return Opened(view(picture).numpy(), None, np.array(picture))
        return Opened(view(picture).numpy(), self_similarity(picture, spec), None)
    except ValueError as error:  # it is too small, or too long
        return decoder_message(error)


@contextmanager
def openers(
    view: View, spec: Ssim, on_gpu: bool, processes: int
) -> Iterator[Callable[[Sequence[bytes | None]], list[Future]]]:
    """Yields what takes stored pictures and gives a future of `opened` for each; with 0 processes in threads.

    `view` must be picklable for processes. A process that dies (say, of memory) makes its futures raise.
    """
    if processes:
        with process_pool(processes, "spawn", _begin, view, spec, on_gpu) as pool:  # a fork could not use the GPU
            yield lambda payloads: [pool.submit(_work, payload) for payload in payloads]
        return
    with ThreadPoolExecutor() as threads:
        yield lambda payloads: [threads.submit(opened, payload, view, spec, on_gpu) for payload in payloads]


def worker_processes(pictures: int, gpu: bool) -> int:
    """How many processes so many pictures are worth on this machine; 0: threads do."""
    cores = usable_cores()
    return cores if pictures >= WORTH and (gpu or cores > THREADS_UP_TO) else 0


_SET: tuple[View, Ssim, bool]


def _begin(view: View, spec: Ssim, on_gpu: bool) -> None:
    global _SET
    cv2.setNumThreads(1)
    _SET = view, spec, on_gpu


def _work(payload: bytes | None) -> Opened | str:
    return opened(payload, *_SET)
