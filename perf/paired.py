"""Timing of one function, or of several in turn with medians and intervals; peak memory."""

import resource
import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
RESAMPLES = 2000


def timed(name: str, function: Callable[[], T]) -> T:
    """Call the function, print its seconds and return its result."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function()
    print(f"{name}: {time.process_time() - cpu:.2f} CPU s, {time.perf_counter() - wall:.2f} s", flush=True)
    return result


def peak_mib() -> float:
    """Peak memory of this process in MiB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss counts bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def at_least(minimum: int, **options: int) -> None:
    """ValueError for a command-line option below the minimum."""
    for name, value in options.items():
        if value < minimum:
            raise ValueError(f"--{name} must be at least {minimum}, got {value}")


def spread(values: Sequence[float]) -> list[float]:
    """Median with its 95% interval, by bootstrap over the values."""
    resamples = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(resamples, axis=1), [0.025, 0.975])
    return [round(float(value), 4) for value in (np.median(values), low, high)]


def ratio(numbers: Sequence[float], others: Sequence[float]) -> list[float]:
    """Median of the ratios of pairs with its 95% interval, as `spread`."""
    return spread([number / other for number, other in zip(numbers, others, strict=True)])


def with_interval(median_low_high: Sequence[float]) -> str:
    """A median with its interval as text, three digits each."""
    return "{:.3g} [{:.3g}, {:.3g}]".format(*median_low_high)


def seconds_in_turns(
    functions: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = time.process_time
) -> list[list[float]]:
    """Seconds of each function in each round, called in turn; a round to warm up is not counted.

    CPU seconds are meant for functions with one thread: other load on the machine then affects caches only. Functions with
    several threads want `time.perf_counter` and an idle machine.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for number in range(rounds + 1):
        for function, measured in zip(functions, seconds, strict=True):
            started = clock()
            function()
            if number:
                measured.append(clock() - started)
    return seconds
