"""Cluster bootstrap, clustered standard errors, paired tests and Holm's correction.

Items about one concept are not independent, so concepts are the clusters. Standard errors and paired differences follow
Miller 2024 (arXiv 2411.00640, sections 3 and 4).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from scipy.stats import t as student

LEVEL = 0.95
POWER = 0.8  # of a test, at a true difference that is `detectable`
NO_DIFFERENCE = "no difference shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Mean of `scores - others`, its 95% bootstrap interval, and a t-test with clusters - 1 degrees of freedom."""

    value: float
    low: float
    high: float
    n: int  # items
    clusters: int
    error: float  # clustered standard error; NaN with fewer than two clusters
    p: float  # two-sided; NaN likewise


def mean(scores: Sequence[float]) -> float:
    """Mean; ValueError without scores."""
    if not len(scores):
        raise ValueError("no scores: a benchmark needs at least one item")
    return float(np.mean(np.asarray(scores, dtype=float)))


def standard_error(scores: Sequence[float], clusters: Sequence[str]) -> float:
    """Clustered standard error of the mean; s / sqrt(n) for clusters of one item, NaN for a single cluster."""
    totals, sizes = _totals(scores, clusters)
    groups, items = len(sizes), sizes.sum()
    if groups < 2:
        return math.nan
    residuals = totals - sizes * (totals.sum() / items)
    return float(np.sqrt(groups / (groups - 1) * np.sum(residuals**2)) / items)


def bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray], clusters: int, resamples: int, seed: int
) -> tuple[float, float]:
    """95% percentile interval of a statistic over clusters drawn with replacement; deterministic for a seed.

    `statistic` maps the number of draws of each cluster, [resample, cluster], to a value per resample. Values that are
    not finite are left out; the interval is NaN if none is finite.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=resamples).astype(float)
    values = statistic(drawn)
    values = values[np.isfinite(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def interval(
    scores: Sequence[float],
    clusters: Sequence[str],
    resamples: int,
    seed: int,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """95% cluster-bootstrap interval of the mean.

    `bounds` are the least and the largest possible score. If all scores equal one of them, a bootstrap interval has no
    width; then it is Wilson's interval, with a cluster as one observation.
    """
    totals, sizes = _totals(scores, clusters)
    if bounds and len(set(scores)) == 1 and scores[0] in bounds:
        least, largest = bounds
        wilson = binomtest(0 if scores[0] == least else len(sizes), len(sizes)).proportion_ci(LEVEL, "wilson")
        return least + (largest - least) * float(wilson.low), least + (largest - least) * float(wilson.high)
    return bootstrap(lambda drawn: (drawn @ totals) / (drawn @ sizes), len(sizes), resamples, seed)


def paired(scores: pd.Series, others: pd.Series, clusters: Sequence[str], resamples: int, seed: int) -> Difference:
    """Paired comparison of scores of the same items (equal indexes, any order); `clusters` is in the order of `scores`.

    ValueError when the items differ. If all differences are equal, p is 1 where they are 0, else 0.
    """
    if scores.index.has_duplicates or set(scores.index) != set(others.index) or len(scores) != len(others):
        raise ValueError("only answers to the same items can be compared pairwise; run both benchmarks again")
    differences = (scores - others.reindex(scores.index)).to_numpy()
    value, (low, high) = mean(differences), interval(differences, clusters, resamples, seed)
    error, groups = standard_error(differences, clusters), len(set(clusters))
    p = p_value(value, error, groups - 1)
    return Difference(value=value, low=low, high=high, n=len(scores), clusters=groups, error=error, p=p)


def p_value(value: float, error: float, degrees: float) -> float:
    """Two-sided p of a t-test of a value with this standard error; without any error 1 for 0, else 0."""
    return float(2 * student.sf(abs(value) / error, degrees)) if error else float(value == 0)


def detectable(error: float, degrees: float, tests: int = 1) -> float:
    """Smallest true difference that a two-sided t-test shows with power POWER, given its standard error and degrees of freedom.

    With several tests it is what Holm's correction asks if this difference is the only one.
    """
    return float((student.isf((1 - LEVEL) / 2 / tests, degrees) + student.ppf(POWER, degrees)) * error)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values (Scand. J. Statist. 6, 1979), in the given order; NaN stays NaN and counts as no test."""
    p = np.asarray(values, dtype=float)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]  # NaN comes last
    adjusted = np.full(len(p), math.nan)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(len(order), 0, -1) * p[order]))
    return [float(value) for value in adjusted]


def shown(p: float, low: float, high: float) -> bool:
    """Whether a difference is reported: its corrected p is below 0.05, and its interval excludes 0."""
    return p < 1 - LEVEL and not low <= 0 <= high


def probability(p: float | None) -> str:
    """A p-value for tables; `-` for None or NaN."""
    return "-" if p is None or math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _totals(scores: Sequence[float], clusters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the scores of each cluster."""
    values = np.asarray(scores, dtype=float)
    if len(values) != len(clusters) or not len(values):
        raise ValueError(
            f"as many clusters as scores are needed, and at least one: got {len(values)} and {len(clusters)}"
        )
    _, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return np.bincount(index, weights=values), np.bincount(index).astype(float)
