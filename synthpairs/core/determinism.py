"""Devices, types and batching with which a model's result depends on its own input alone, down to the last bit.

Low bits depend on the kernel that torch picks and on how threads divide the work, and both depend on the batch's shape. On a
CPU (measured with models of the desk generator's size) another batch size changes low bits. At a fixed size the other rows
never matter, but a row's index may, where threads divide the rows (10 rows on two threads; never on one). So batches are always
padded to full size, and the number of threads is one with which all rows agree.
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
_cpu_only = ContextVar("off_accelerators", default=False)


def best_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if not _cpu_only.get() and torch.cuda.is_available() else "cpu")


def compute_dtype() -> torch.dtype:
    """The type that language models compute in: bfloat16 on a GPU with hardware for it, else float32.

    CPUs agree in float32 up to low bits (docs/two-machines.md); in bfloat16 each kind trains differently, and those that
    emulate it take four to ten times as long.
    """
    if best_device().type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def cast_for_compute(model: M) -> M:
    """The model cast to float32 if that is `compute_dtype`, else in its stored type."""
    return model.float() if compute_dtype() == torch.float32 else model


@contextmanager
def cpu_only(enabled: bool) -> Iterator[None]:
    """If `enabled`, `best_device` is the CPU inside: for the driver process of workers that use the accelerators."""
    token = _cpu_only.set(enabled)
    try:
        yield
    finally:
        _cpu_only.reset(token)


def pad_batch(items: Sequence[T], size: int) -> list[T]:
    """The items padded to a batch of `size` with copies of the last one; drop their results."""
    return [*items, *[items[-1]] * (size - len(items))]


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch with this many CPU threads inside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def deterministic_threads(copies: Callable[[], np.ndarray]) -> int:
    """The largest number of threads with which all rows of a batch get the same bits; `copies` runs a batch of equal rows."""
    allowed = count = torch.get_num_threads()
    while True:
        with torch_threads(count):
            rows = copies()
        if all(np.array_equal(row, rows[0], equal_nan=True) for row in rows):
            break
        if count == 1:
            log.warning("a result's last bits depend on its index in the batch: a resumed run may differ in them")
            return allowed
        count //= 2
    if count < allowed:
        log.info("using %d of %d threads: with more, equal rows of a batch of %d differ", count, allowed, len(rows))
    return count
