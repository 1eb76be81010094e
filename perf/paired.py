"""Timing two ways of doing a thing side by side: medians of ratios with their spread."""

import time
from collections.abc import Callable, Sequence

import numpy as np

RESAMPLES = 2000


def spread(values: Sequence[float]) -> list[float]:
    """Median, and its 95% interval by bootstrap over the values."""
    found = np.asarray(values)
    drawn = np.random.default_rng(0).choice(found, (RESAMPLES, len(found)))
    low, high = np.quantile(np.median(drawn, axis=1), [0.025, 0.975])
    return [round(float(value), 4) for value in (np.median(found), low, high)]


def told(found: Sequence[float]) -> str:
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
