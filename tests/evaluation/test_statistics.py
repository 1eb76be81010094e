import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthpairs.evaluation.statistics import bootstrap, detectable, holm, interval, mean, paired, standard_error

RNG = np.random.default_rng(5)
SCORES = RNG.random(400)
SINGLES = [str(number) for number in range(400)]
FIRST = pd.Series(SCORES, index=SINGLES)


def test_clusters_of_one_are_independent_items():
    assert mean(SCORES) == pytest.approx(SCORES.mean())
    assert standard_error(SCORES, SINGLES) == pytest.approx(stats.sem(SCORES))
    low, high = interval(SCORES, SINGLES, 20_000, 0)
    expected = stats.bootstrap((SCORES,), np.mean, n_resamples=4_000, method="percentile", rng=np.random.default_rng(1))
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval), abs=0.003)
    assert (low, high) == interval(SCORES, SINGLES, 20_000, 0)


def test_equal_items_of_a_cluster_count_once():
    few = SCORES[:50]
    copies, names = np.tile(few, 8), SINGLES[:50] * 8
    assert standard_error(copies, names) == pytest.approx(stats.sem(few))
    margin = 1.96 * stats.sem(few)
    expected = (few.mean() - margin, few.mean() + margin)
    assert interval(copies, names, 20_000, 0) == pytest.approx(expected, abs=0.004)
    scores, names = [1.0, 0.0] * 30, [str(number // 2) for number in range(60)]  # balanced guessing, as in desk_pope
    assert interval(scores, names, 500, 0, (0, 1)) == (0.5, 0.5)
    assert standard_error(scores, names) == 0


def test_interval_covers():
    """Of 95% intervals about 95% hold the truth, with correlated items too."""
    rng = np.random.default_rng(0)
    names = np.repeat(np.arange(40), 6)
    held = 0
    for seed in range(300):
        scores = (rng.random(240) < np.repeat(rng.beta(2, 2, 40), 6)).astype(float)
        low, high = interval(scores, names, 400, seed)
        held += low <= 0.5 <= high
    assert 0.90 <= held / 300 <= 0.98


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_all_alike_is_not_certain(score):
    for top, per_cluster in ((1, 3), (10, 1)):
        names = [str(number // per_cluster) for number in range(90)]
        clusters = 90 // per_cluster
        wilson = stats.binomtest(int(score * clusters), clusters).proportion_ci(method="wilson")
        expected = (top * wilson.low, top * wilson.high)
        assert interval([top * score] * 90, names, 500, 0, (0, top)) == pytest.approx(expected)


def test_a_paired_difference_of_independent_items_is_the_t_test_of_scipy():
    second = FIRST + RNG.normal(0.002, 0.05, 400)
    result = paired(second, FIRST.sample(frac=1, random_state=1), SINGLES, 20_000, 0)
    expected = stats.ttest_rel(second, FIRST)
    bounds = expected.confidence_interval()
    assert (result.value, result.p) == pytest.approx(((second - FIRST).mean(), expected.pvalue))
    assert (result.low, result.high) == pytest.approx((bounds.low, bounds.high), abs=5e-4)
    assert (result.n, result.clusters) == (400, 400)


def test_copies_are_no_evidence():
    ours, theirs = FIRST[:12], FIRST[:12] + RNG.normal(0.5, 1, 12)
    doubled, others = (pd.concat([part, part.rename(lambda name: f"{name}b")]) for part in (ours, theirs))
    alone = paired(ours, theirs, list(ours.index), 500, 0)
    copied = paired(doubled, others, [name.rstrip("b") for name in doubled.index], 500, 0)
    assert (copied.p, copied.error) == pytest.approx((alone.p, alone.error))
    assert paired(doubled, others, list(doubled.index), 500, 0).p < alone.p


@pytest.mark.parametrize("tests", [1, 15])
def test_an_effect_of_the_detectable_size_is_seen_four_times_in_five(tests):
    """Among differences that are none, of which Holm's correction knows by their number."""
    rng, index = np.random.default_rng(0), SINGLES[:60]
    zeros, seen = pd.Series(0.0, index=index), 0
    effect = detectable(1 / math.sqrt(60), 59, tests)
    for _ in range(400):
        result = paired(pd.Series(rng.normal(effect, 1, 60), index=index), zeros, index, 100, 0)
        seen += holm([result.p, *rng.uniform(size=tests - 1)])[0] < 0.05
    assert 0.74 < seen / 400 < 0.86


def test_equal_answers_and_single_concepts_are_no_evidence():
    same = FIRST[:10]
    assert paired(same, same, SINGLES[:10], 100, 0).p == 1
    assert paired(same + 1, same, SINGLES[:10], 100, 0).p == pytest.approx(0, abs=1e-12)
    alone = paired(same + 1, same, ["one concept"] * 10, 100, 0)
    assert math.isnan(alone.p)
    assert math.isnan(alone.error)
    assert math.isnan(detectable(alone.error, 0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.9, 0.5], [1.0, 1.0]),
        ([], []),
        ([0.02, math.nan, 0.03], [0.04, math.nan, 0.04]),
    ],
)
def test_holm_by_hand(values, expected):
    assert holm(values) == pytest.approx(expected, nan_ok=True)


def test_values_that_are_missing_do_not_count_and_bad_input_is_an_error():
    low, high = bootstrap(lambda drawn: np.where(drawn[:, 0] > 0, drawn[:, 0], np.nan), 3, 500, 0)
    assert (low, high) == (1, 3)
    assert all(map(math.isnan, bootstrap(lambda drawn: drawn[:, 0] * np.nan, 3, 500, 0)))
    assert math.isnan(standard_error([1.0, 0.0], ["a", "a"]))
    with pytest.raises(ValueError, match="only answers to the same items"):
        paired(FIRST[:5], FIRST[:6], ["a"] * 5, 100, 0)
    with pytest.raises(ValueError, match="no scores"):
        mean([])
    with pytest.raises(ValueError, match="as many clusters"):
        interval([1.0, 0.0], ["a"], 100, 0)
