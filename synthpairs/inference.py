"""Running a model so that a result depends on its own input alone, down to the last bit.

Which kernel a tensor library picks, and how threads share the work, depends on a batch's shape, and with it the last
bits of every result. Measured on CPU with a UNet and a VAE of the desk generator's size: other batch sizes change the
low bits; with one size, a row never depends on the other rows, and on its place in the batch only where a thread's
share ends inside a row. So batches are always full and threads divide them evenly.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


def best_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def filled(items: Sequence[T], size: int) -> list[T]:
    """The items, filled up to a batch of `size` with copies of the last one, whose results are to be thrown away."""
    return [*items, *[items[-1]] * (size - len(items))]


def even_thread_count(batch: int) -> int:
    """The most threads that divide a batch evenly: of two cores, a batch of 8 gets both and one of 7 a single one."""
    return max(count for count in range(1, torch.get_num_threads() + 1) if batch % count == 0)


@contextmanager
def even_threads(batch: int) -> Iterator[None]:
    """Run with that many threads."""
    allowed = torch.get_num_threads()
    torch.set_num_threads(even_thread_count(batch))
    try:
        yield
    finally:
        torch.set_num_threads(allowed)
