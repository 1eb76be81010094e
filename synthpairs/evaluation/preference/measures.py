"""Win rates of pairwise verdicts, with intervals and a sign test.

A tie counts as half a win, so 0.5 means no preference. The interval resamples whole concepts, as those of the
benchmarks; the sign test ignores ties and treats image pairs as independent. A preference is shown where both agree.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from scipy.stats import binomtest

from synthpairs.evaluation.statistics import LEVEL, interval, mean

DECIMALS = 4
EVEN = 0.5
CHOICES = {1.0: "synthetic", 0.0: "real", 0.5: "tie"}  # by score of an image pair


def win_rate(scores: Sequence[float], clusters: Sequence[str], resamples: int, seed: int) -> dict[str, Any]:
    """`n`, `wins`, `ties`, `losses`, win `rate` with 95% interval `low` to `high`, and `p` of the two-sided sign test.

    The latter four are None without scores.
    """
    counts = Counter(scores)
    if not scores:
        return {"n": 0, "wins": 0, "ties": 0, "losses": 0, "rate": None, "low": None, "high": None, "p": None}
    low, high = interval(scores, clusters, resamples, seed, bounds=(0, 1))
    decided = counts[1.0] + counts[0.0]
    p = binomtest(counts[1.0], decided).pvalue if decided else 1.0
    numbers = {"rate": mean(scores), "low": low, "high": high, "p": float(p)}
    return {"n": len(scores), "wins": counts[1.0], "ties": counts[0.5], "losses": counts[0.0]} | {
        name: round(value, DECIMALS) for name, value in numbers.items()
    }


def by_cluster(scores: Sequence[float], clusters: Sequence[str]) -> dict[str, dict[str, int]]:
    """Wins, ties and losses of each cluster."""
    counts = Counter(zip(clusters, scores, strict=True))
    return {
        name: {"wins": counts[name, 1.0], "ties": counts[name, 0.5], "losses": counts[name, 0.0]}
        for name in sorted(set(clusters))
    }


def preferred_side(numbers: dict[str, Any]) -> str | None:
    """The preferred side by the numbers of `win_rate`, `synthetic` or `real`; None if no preference is shown."""
    if numbers["p"] >= 1 - LEVEL or numbers["low"] <= EVEN <= numbers["high"]:
        return None
    return CHOICES[float(numbers["rate"] > EVEN)]
