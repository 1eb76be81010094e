"""Timing one step, or two ways of doing a thing side by side: medians of ratios with their spread; and peaks of memory."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
RESAMPLES = 2000


def timed(name: str, step: Callable[[], T]) -> T:
    """What the step returns; its seconds are printed."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = step()
    print(f"{name}: {time.process_time() - cpu:.2f} CPU s, {time.perf_counter() - wall:.2f} s", flush=True)
    return result


def peak_mib() -> float:
    """The most memory that this process has had."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss counts bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def at_least(least: int, **asked: int) -> None:
    """ValueError names the option whose value is smaller."""
    for name, value in asked.items():
        if value < least:
            raise ValueError(f"--{name} must be at least {least}, got {value}")


def spread(values: Sequence[float]) -> list[float]:
    """Median, and its 95% interval by bootstrap over the values."""
    found = np.asarray(values)
    drawn = np.random.default_rng(0).choice(found, (RESAMPLES, len(found)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return [round(float(value), 4) for value in (np.median(found), low, high)]


def with_interval(found: Sequence[float]) -> str:
    """A median with its interval, three digits each."""
    return "{:.3g} [{:.3g}, {:.3g}]".format(*found)


def seconds_in_turns(ways: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """CPU seconds of each way in each round, the ways taking turns; a first round is not counted.

    For ways with one thread: what others do on the machine then costs caches, not time.
    """
    taken: list[list[float]] = [[] for _ in ways]
    for round_ in range(rounds + 1):
        for way, seconds in zip(ways, taken, strict=True):
            began = time.process_time()
            way()
            if round_:
                seconds.append(time.process_time() - began)
    return taken
