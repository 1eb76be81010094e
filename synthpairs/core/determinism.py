"""Running a model so that a result depends on its own input alone, down to the last bit.

Which kernel a tensor library picks, and how threads share the work, depends on a batch's shape, and with it the last
bits of every result. Measured on CPU with models of the desk generator's size, one and two threads, several batch sizes:
another batch size changes low bits; with one size, the other rows of a batch never matter, but a row's place in it may,
when threads share rows between them (10 rows on two threads; never on one). So batches are always full, and the number of
threads is one with which all places are equal.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import numpy as np
import torch

log = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=torch.nn.Module)
_off_accelerators = ContextVar("off_accelerators", default=False)


def best_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if not _off_accelerators.get() and torch.cuda.is_available() else "cpu")


def compute_dtype() -> torch.dtype:
    """The type that language models compute in: float32 on a CPU, bfloat16 on a GPU that multiplies it.

    On CPUs float32 is what is portable: the kinds of CPU agree in it up to low bits (docs/two-machines.md), while bfloat16 gives
    each kind another run, and takes four to ten times as long where it is emulated.
    """
    if best_device().type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def computing(model: M) -> M:
    """The model in float32 if `compute_dtype` is that, else in what it is stored in."""
    return model.float() if compute_dtype() == torch.float32 else model


@contextmanager
def off_accelerators(stay: bool) -> Iterator[None]:
    """If `stay`, there is no device but the CPU in here: for the process that only plans what workers make on accelerators."""
    token = _off_accelerators.set(stay)
    try:
        yield
    finally:
        _off_accelerators.reset(token)


def filled(items: Sequence[T], size: int) -> list[T]:
    """The items, filled up to a batch of `size` with copies of the last one, whose results are to be thrown away."""
    return [*items, *[items[-1]] * (size - len(items))]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Run torch with this many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def steady_threads(copies: Callable[[], np.ndarray]) -> int:
    """The most threads with which every place in a batch gives the same bits; `copies` runs a batch of equal rows."""
    allowed = count = torch.get_num_threads()
    while True:
        with threads(count):
            rows = copies()
        if all(np.array_equal(row, rows[0], equal_nan=True) for row in rows):
            break
        if count == 1:
            log.warning("a result's last bits depend on its place in the batch: a resumed run may differ in them")
            return allowed
        count //= 2
    if count < allowed:
        log.info("%d of %d threads are used: with more, a batch of %d is not exact", count, allowed, len(rows))
    return count
