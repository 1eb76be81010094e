"""Standard errors and intervals against closed forms and scipy."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthpairs.statistics import interval, mean, paired_difference, standard_error

RNG = np.random.default_rng(5)
SCORES = RNG.random(400)
SINGLES = [str(place) for place in range(400)]


def test_clusters_of_one_are_independent_items() -> None:
    assert mean(SCORES) == pytest.approx(SCORES.mean())
    assert standard_error(SCORES, SINGLES) == pytest.approx(stats.sem(SCORES))


def test_equal_clusters_count_once() -> None:
    """Eight copies of 50 items say no more than the 50 items."""
    few = SCORES[:50]
    copies, names = np.tile(few, 8), [str(place) for place in range(50)] * 8
    assert standard_error(copies, names) == pytest.approx(stats.sem(few))
    low, high = interval(copies, names, 20_000, 0)
    centre = few.mean()
    assert (low, high) == pytest.approx((centre - 1.96 * stats.sem(few), centre + 1.96 * stats.sem(few)), abs=0.004)


def test_interval_is_that_of_scipy() -> None:
    low, high = interval(SCORES, SINGLES, 20_000, 0)
    expected = stats.bootstrap((SCORES,), np.mean, n_resamples=4_000, method="percentile", rng=np.random.default_rng(1))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.003)
    assert (low, high) == interval(SCORES, SINGLES, 20_000, 0)


def test_interval_covers() -> None:
    """Of 95% intervals about 95% hold the truth, with correlated items too."""
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(40), 6)
    held = 0
    for seed in range(300):
        scores = (rng.random(240) < np.repeat(rng.beta(2, 2, 40), 6)).astype(float)
        low, high = interval(scores, names, 400, seed)
        held += low <= 0.5 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_balanced_guessing_has_no_spread() -> None:
    """As in desk_pope: whoever says the same with and without the thing is half right on every concept."""
    scores, names = [1.0, 0.0] * 30, [str(place // 2) for place in range(60)]
    assert interval(scores, names, 500, 0, (0, 1)) == (0.5, 0.5)
    assert standard_error(scores, names) == 0


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_all_alike_is_not_certain(score: float) -> None:
    low, high = interval([score] * 90, [str(place // 3) for place in range(90)], 500, 0, (0, 1))
    wilson = stats.binomtest(int(score * 30), 30).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((wilson.low, wilson.high))
    low, high = interval([10 * score] * 90, SINGLES[:90], 500, 0, (0, 10))
    wilson = stats.binomtest(int(score * 90), 90).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((10 * wilson.low, 10 * wilson.high))


def test_paired_difference() -> None:
    first = pd.Series(SCORES, index=SINGLES)
    second = first + RNG.normal(0.1, 0.05, 400)
    value, low, high = paired_difference(second.sample(frac=1, random_state=1), first, SINGLES, 20_000, 0)
    expected = stats.ttest_rel(second, first).confidence_interval()
    assert value == pytest.approx((second - first).mean())
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=5e-4)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="same items"):
        paired_difference(pd.Series([1.0], index=["a"]), pd.Series([1.0], index=["b"]), ["x"], 100, 0)
    with pytest.raises(ValueError, match="no scores"):
        mean([])
    with pytest.raises(ValueError, match="as many clusters"):
        interval([1.0, 0.0], ["a"], 100, 0)
    assert math.isnan(standard_error([1.0, 0.0], ["a", "a"]))
