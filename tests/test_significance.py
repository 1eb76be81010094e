"""Paired tests: against scipy where items are independent, by hand where they are not; Holm's correction by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synthpairs.statistics import holm, paired


def scores(seed: int, count: int, shift: float = 0.0) -> pd.Series:
    values = np.random.default_rng(seed).normal(shift, 1, count)
    return pd.Series(values, index=[f"item{number}" for number in range(count)])


def test_items_of_their_own_give_the_t_test_of_scipy():
    ours, theirs = scores(0, 40, 0.3), scores(1, 40)
    found = paired(ours, theirs.sample(frac=1, random_state=0), list(ours.index), 500, 0)
    expected = stats.ttest_rel(ours, theirs)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.value == pytest.approx((ours - theirs).mean())
    assert found.low < found.value < found.high
    assert (found.n, found.clusters) == (40, 40)


def test_items_of_one_concept_count_less():
    ours, theirs = scores(0, 12, 0.5), scores(1, 12)
    doubled = pd.concat([ours, ours.rename(lambda name: f"{name}b")])
    others = pd.concat([theirs, theirs.rename(lambda name: f"{name}b")])
    concepts = [name.rstrip("b") for name in doubled.index]
    alone, copied = paired(ours, theirs, list(ours.index), 500, 0), paired(doubled, others, concepts, 500, 0)
    assert copied.p == pytest.approx(alone.p)  # copies are no evidence
    assert copied.detectable == pytest.approx(alone.detectable)
    assert paired(doubled, others, list(doubled.index), 500, 0).p < alone.p


def test_an_effect_of_the_detectable_size_is_seen_four_times_in_five():
    rng = np.random.default_rng(0)
    index = [f"item{number}" for number in range(60)]
    zeros, seen, sizes = pd.Series(0.0, index=index), 0, []
    for _ in range(400):
        noise = pd.Series(rng.normal(0, 1, 60), index=index)
        size = paired(noise, zeros, index, 100, 0).detectable
        sizes.append(size)
        seen += paired(noise + np.median(sizes), zeros, index, 100, 0).p < 0.05
    assert 0.74 < seen / 400 < 0.86


def test_equal_answers_and_single_concepts_are_no_evidence():
    same = scores(0, 10)
    assert paired(same, same, list(same.index), 100, 0).p == 1
    alone = paired(same + 1, same, ["one concept"] * 10, 100, 0)
    assert math.isnan(alone.p)
    assert math.isnan(alone.detectable)
    assert paired(same + 1, same, list(same.index), 100, 0).p == pytest.approx(0, abs=1e-12)


def test_other_items_are_refused():
    with pytest.raises(ValueError, match="only answers to the same items"):
        paired(scores(0, 5), scores(0, 6), ["a"] * 5, 100, 0)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([]) == []
    found = holm([0.02, math.nan, 0.03])
    assert found[0] == found[2] == pytest.approx(0.04)
    assert math.isnan(found[1])
