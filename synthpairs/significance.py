"""Tests of paired differences: clustered by concept, corrected for how many there are, with what could have been seen at all.

Standard errors are those of Miller 2024 (arXiv 2411.00640, sections 3 and 4); items about one concept are not independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from synthpairs.statistics import LEVEL, paired_difference, standard_error

NO_DIFFERENCE = "no difference shown"
POWER = 0.8  # chance of seeing an effect of `detectable` size


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean of `scores - others` with its 95% bootstrap interval, and what a t-test with clusters - 1 degrees of freedom says."""

    value: float
    low: float
    high: float
    n: int  # items
    clusters: int
    p: float  # two-sided; NaN with fewer than two clusters
    detectable: float  # smallest true difference that such a test sees four times in five; NaN likewise


def paired(scores: pd.Series, others: pd.Series, clusters: Sequence[str], resamples: int, seed: int) -> Difference:
    """Compare answers to the same items (equal indexes, in any order); `clusters` is in the order of `scores`.

    ValueError when the two are not about the same items. Without any variation p is 1 where nothing differs, else 0.
    """
    value, low, high = paired_difference(scores, others, clusters, resamples, seed)
    error = standard_error(scores - others.reindex(scores.index), clusters)
    groups = len(set(clusters))
    p = seen = math.nan
    if groups > 1:
        free = groups - 1
        p = float(2 * student.sf(abs(value) / error, free)) if error else float(value == 0)
        seen = detectable(error, free)
    return Difference(value=value, low=low, high=high, n=len(scores), clusters=groups, p=p, detectable=seen)


def detectable(error: float, free: int) -> float:
    """Smallest true difference that a two-sided t-test sees four times in five, of its standard error and degrees of freedom."""
    return float((student.ppf((1 + LEVEL) / 2, free) + student.ppf(POWER, free)) * error)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Scand. J. Statist. 6, 1979), in the given order; NaN stays NaN and does not count.

    Below 0.05 a difference is shown with at most a 5% chance that any of those shown is none.
    """
    adjusted = [math.nan] * len(values)
    known = [place for place in np.argsort(values, kind="stable") if not math.isnan(values[place])]
    highest = 0.0
    for rank, place in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * values[place]))
        adjusted[place] = highest
    return adjusted


def shown(p: float, low: float, high: float) -> bool:
    """Whether there is a difference to tell of: the corrected p is below 0.05, and the interval does not hold 0."""
    return p < 1 - LEVEL and not low <= 0 <= high


def probability(p: float | None) -> str:
    """A p-value as tables show it; `-` for none."""
    return "-" if p is None or math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
