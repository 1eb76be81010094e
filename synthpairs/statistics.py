"""How sure a benchmark number is. Items about one concept are not independent, so whole concepts are resampled.

Standard errors and paired differences follow Miller 2024 (2411.00640): clustered by concept; two models that answered the
same items are compared item by item.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

LEVEL = 0.95


def mean(scores: Sequence[float]) -> float:
    """The mean; ValueError without scores."""
    if not len(scores):
        raise ValueError("no scores: a benchmark needs at least one item")
    return float(np.mean(np.asarray(scores, dtype=float)))


def standard_error(scores: Sequence[float], clusters: Sequence[str]) -> float:
    """Standard error of the mean, clustered; with clusters of one item it is the usual s / sqrt(n). NaN for one cluster."""
    totals, sizes = _totals(scores, clusters)
    groups, items = len(sizes), sizes.sum()
    if groups < 2:
        return math.nan
    residuals = totals - sizes * (totals.sum() / items)
    return float(np.sqrt(groups / (groups - 1) * np.sum(residuals**2)) / items)


def interval(
    scores: Sequence[float],
    clusters: Sequence[str],
    resamples: int,
    seed: int,
    bounds: tuple[float, float] | None = None,
) -> tuple[float, float]:
    """95% bootstrap interval of the mean: percentiles over resampled clusters; equal input, equal interval.

    `bounds` are the least and the largest possible score. Where every score is one of them the bootstrap would claim
    certainty; then Wilson's bound stands, with a cluster as one observation.
    """
    totals, sizes = _totals(scores, clusters)
    if bounds and len(set(scores)) == 1 and scores[0] in bounds:
        return _wilson(scores[0], len(sizes), bounds)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(sizes), np.full(len(sizes), 1 / len(sizes)), size=resamples)  # [resample, cluster]
    low, high = np.quantile((drawn @ totals) / (drawn @ sizes), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired_difference(
    scores: pd.Series, others: pd.Series, clusters: Sequence[str], resamples: int, seed: int
) -> tuple[float, float, float]:
    """Mean of `scores - others` over the same items (equal indexes, in any order) with its 95% interval.

    `clusters` is in the order of `scores`. ValueError when the two are not about the same items.
    """
    if scores.index.has_duplicates or set(scores.index) != set(others.index) or len(scores) != len(others):
        raise ValueError("only answers to the same items can be compared pairwise; run both benchmarks again")
    difference = (scores - others.reindex(scores.index)).to_numpy()
    return mean(difference), *interval(difference, clusters, resamples, seed)


def _totals(scores: Sequence[float], clusters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Sum and number of the scores of each cluster."""
    values = np.asarray(scores, dtype=float)
    if len(values) != len(clusters) or not len(values):
        raise ValueError(
            f"as many clusters as scores are needed, and at least one: got {len(values)} and {len(clusters)}"
        )
    _, places = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    return np.bincount(places, weights=values), np.bincount(places).astype(float)


def _wilson(score: float, observations: int, bounds: tuple[float, float]) -> tuple[float, float]:
    least, largest = bounds
    square = NormalDist().inv_cdf((1 + LEVEL) / 2) ** 2
    width = (largest - least) * square / (observations + square)
    return (least, least + width) if score == least else (largest - width, largest)
