from copy import deepcopy
from dataclasses import replace

import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.codes import read_codes
from synthpairs.report.findings import differences
from synthpairs.report.sections.claims import DEPENDS, HOLDS, OPPOSITE, UNMEASURED, claims
from tests.report.conftest import CURVES, PARAMS, SPEED

CAPTIONS, STEPS, SPEEDS, SHARE, ENTROPY = range(5)
NEVER = [[0.1, 0.1, 0.1]] * 3


def claim(codes, number):
    return claims(codes, differences(codes, PARAMS, [("genpair", "real-codes")]))[number]


def scored(codes, arm, score):
    """The codes with one arm's captions scored anew."""
    table = codes.answers[arm].copy()
    table.loc[(table["task"] == "desk_caption") & ~table["blind"].astype(bool), "score"] = score
    return replace(codes, answers=codes.answers | {arm: table})


def test_captions_are_judged_by_the_paired_interval(codes):
    assert claim(scored(codes, "real-codes", 0.0), CAPTIONS).verdict == HOLDS
    assert claim(scored(codes, "genpair", 0.0), CAPTIONS).verdict == OPPOSITE
    same = replace(codes, answers=codes.answers | {"genpair": codes.answers["real-codes"]})
    assert claim(same, CAPTIONS).verdict == NO_DIFFERENCE
    assert "difference +0.000 [+0.000, +0.000]; n = 120, one seed" in claim(same, CAPTIONS).here


def test_without_both_arms_captions_are_not_measured(made_project):
    codes = read_codes(["genpair"], made_project)
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
    assert claim(replace(codes, curves=curves), STEPS).verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"), [([1.2, 1.1, 1.3], HOLDS), ([1.0, 0.9, 1.1], NO_DIFFERENCE), ([0.8, 0.7, 0.9], OPPOSITE)]
)
def test_speed_is_judged_by_its_spread(codes, ratio, verdict):
    assert claim(replace(codes, speed=SPEED | {"ratio": ratio}), SPEEDS).verdict == verdict


def diverse(codes, **levels):
    """The codes with an interval of 0.02 around each level of `invented` and `human`, by k, for both measures."""
    diversity = deepcopy(codes.diversity)
    for name, by_clusters in levels.items():
        for k, level in zip(diversity["clusters"], by_clusters, strict=True):
            numbers = {"mean": level, "low": level - 0.01, "high": level + 0.01}
            diversity["sets"][name]["by_clusters"][str(k)] |= {"entropy": numbers, "top5_share": numbers}
    return replace(codes, diversity=diversity)


@pytest.mark.parametrize(
    ("number", "invented", "human", "verdict"),
    [
        (ENTROPY, (0.6, 0.6), (0.5, 0.5), HOLDS),
        (SHARE, (0.6, 0.6), (0.5, 0.5), OPPOSITE),
        (ENTROPY, (0.6, 0.5), (0.5, 0.5), DEPENDS),
        (ENTROPY, (0.51, 0.5), (0.5, 0.5), NO_DIFFERENCE),
    ],
)
def test_diversity_is_judged_by_intervals_that_do_not_touch_at_every_k(codes, number, invented, human, verdict):
    assert claim(diverse(codes, invented=invented, human=human), number).verdict == verdict


def test_a_share_of_all_clusters_says_nothing_nor_does_a_set_that_was_not_analysed(codes):
    assert "k = 2:" not in claim(codes, SHARE).here
    assert "k = 2:" in claim(codes, ENTROPY).here
    few, one = {"clusters": [2]}, {"sets": {"human": codes.diversity["sets"]["human"]}}
    assert claim(replace(codes, diversity=codes.diversity | few), SHARE).verdict == UNMEASURED
    assert claim(replace(codes, diversity=codes.diversity | one), ENTROPY).verdict == UNMEASURED
