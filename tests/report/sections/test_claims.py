from copy import deepcopy
from dataclasses import replace

import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.codes import read_codes
from synthpairs.report.findings import differences
from synthpairs.report.sections.claims import DEPENDS, HOLDS, OPPOSITE, UNMEASURED, claims
from tests.report.conftest import CODE_ARMS, CURVES, PARAMS, SPEED

CAPTIONS, STEPS, SPEEDS, SHARE, ENTROPY = range(5)
NEVER = [[0.1, 0.1, 0.1]] * 3


@pytest.fixture
def codes(project):
    return read_codes(CODE_ARMS)


def found(codes, number):
    return claims(codes, differences(codes, PARAMS, [("genpair", "real-codes")]))[number]


def scored(codes, arm, score):
    """The codes with one arm's captions scored anew."""
    table = codes.answers[arm].copy()
    table.loc[(table["task"] == "desk_caption") & ~table["blind"].astype(bool), "score"] = score
    return replace(codes, answers=codes.answers | {arm: table})


def test_captions_are_judged_by_the_paired_interval(codes):
    assert found(scored(codes, "real-codes", 0.0), CAPTIONS).verdict == HOLDS
    assert found(scored(codes, "genpair", 0.0), CAPTIONS).verdict == OPPOSITE
    same = replace(codes, answers=codes.answers | {"genpair": codes.answers["real-codes"]})
    assert found(same, CAPTIONS).verdict == NO_DIFFERENCE
    assert "difference +0.000 [+0.000, +0.000]; n = 120, one seed" in found(same, CAPTIONS).here


def test_without_both_arms_captions_are_not_measured(project):
    codes = read_codes(["genpair"])
    assert claims(codes, differences(codes, PARAMS, []))[CAPTIONS].verdict == UNMEASURED


@pytest.mark.parametrize(
    ("step", "genpair", "verdict"),
    [
        (100, CURVES["arms"]["genpair"], HOLDS),
        (200, [*CURVES["arms"]["genpair"][:2], NEVER[0]], NO_DIFFERENCE),
        (None, NEVER, OPPOSITE),
        (300, [[0.1, 0.1, 0.9]] * 3, NO_DIFFERENCE),
    ],
)
def test_fewer_steps_holds_when_every_seed_is_there_before_the_baseline_itself(codes, step, genpair, verdict):
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"], curves["reached"]["step"] = genpair, step
    assert found(replace(codes, curves=curves), STEPS).verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"), [([1.2, 1.1, 1.3], HOLDS), ([1.0, 0.9, 1.1], NO_DIFFERENCE), ([0.8, 0.7, 0.9], OPPOSITE)]
)
def test_speed_is_judged_by_its_spread(codes, ratio, verdict):
    assert found(replace(codes, speed=SPEED | {"ratio": ratio}), SPEEDS).verdict == verdict


def diverse(codes, **levels):
    """The codes with an interval of 0.02 around each level of `invented` and `human`, by k, for both measures."""
    diversity = deepcopy(codes.diversity)
    for name, by_clusters in levels.items():
        for k, level in zip(diversity["clusters"], by_clusters, strict=True):
            numbers = {"mean": level, "low": level - 0.01, "high": level + 0.01}
            diversity["sets"][name]["by_clusters"][str(k)] |= {"entropy": numbers, "top5_share": numbers}
    return replace(codes, diversity=diversity)


def test_diversity_is_judged_by_intervals_that_do_not_touch_at_every_k(codes):
    assert found(diverse(codes, invented=(0.6, 0.6), human=(0.5, 0.5)), ENTROPY).verdict == HOLDS
    assert found(diverse(codes, invented=(0.6, 0.6), human=(0.5, 0.5)), SHARE).verdict == OPPOSITE
    assert found(diverse(codes, invented=(0.6, 0.5), human=(0.5, 0.5)), ENTROPY).verdict == DEPENDS
    assert found(diverse(codes, invented=(0.51, 0.5), human=(0.5, 0.5)), ENTROPY).verdict == NO_DIFFERENCE


def test_a_share_of_all_clusters_says_nothing(codes):
    assert "k = 2:" not in found(codes, SHARE).here
    assert "k = 2:" in found(codes, ENTROPY).here
    few = replace(codes, diversity=codes.diversity | {"clusters": [2]})
    assert found(few, SHARE).verdict == UNMEASURED


def test_sets_that_were_not_analysed_are_not_measured(codes):
    sets = {"human": codes.diversity["sets"]["human"]}
    assert found(replace(codes, diversity=codes.diversity | {"sets": sets}), ENTROPY).verdict == UNMEASURED
