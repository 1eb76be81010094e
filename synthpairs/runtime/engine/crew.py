"""What a crew of workers can do, wherever they are: other processes, or actors of a Ray cluster.

A worker is a function of one batch, made once in its own process by the factory that the crew is given (picklable; it loads
the model). Places are numbered from 0; a worker that has ended leaves its place free for another.
"""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Worker = Callable[[Sequence[Any]], Any]
Factory = Callable[[], Worker]


@dataclass(frozen=True, slots=True)
class News:
    """What one worker has to say: that it is ready, a batch's result, an exception of its own, or why it is no more."""

    place: int
    kind: Literal["ready", "done", "raised", "died"]
    value: Any = None


class Crew(Protocol):
    """Workers at numbered places."""

    size: int  # places
    device: str  # type of the device that its workers compute on, as torch names it: cpu, cuda

    def start(self, place: int, factory: Factory) -> None:
        """Put a new worker at a free place; news of it: ready, raised or died."""

    def give(self, place: int, batch: Sequence[Any]) -> None:
        """Have a ready worker work; news of it: done, raised or died."""

    def news(self, seconds: float) -> list[News]:
        """What there is, after waiting for a first piece of it this long at most."""

    def end(self, place: int) -> None:
        """Kill the worker at a place, whatever it does; no news of it comes after that."""

    def close(self) -> None:
        """Kill all."""


def portable(error: Exception) -> Exception:
    """The error as it may travel: users' errors as they are, others with the traceback, which stays behind otherwise."""
    if type(error) in (ValueError, FileNotFoundError):
        return type(error)(str(error))
    return RuntimeError(f"in a worker: {''.join(traceback.format_exception(error)).strip()}")
