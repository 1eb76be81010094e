from copy import deepcopy
from dataclasses import replace

import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.analysis import differences
from synthpairs.report.results import read_synth2_results
from synthpairs.report.sections.claims import DEPENDS, HOLDS, OPPOSITE, UNMEASURED, claims
from tests.report.conftest import CURVES, PARAMS, SPEED

CAPTIONS, STEPS, SPEEDS, SHARE, ENTROPY = range(5)
NEVER = [[0.1, 0.1, 0.1]] * 3


def claim(results, number, comparisons=(("genpair", "real-tokens"),), **changed):
    results = replace(results, **changed)
    return claims(results, differences(results, PARAMS, comparisons))[number]


@pytest.mark.parametrize(
    ("real", "mixed", "verdict"), [(0.0, 0.5, HOLDS), (0.5, 0.0, OPPOSITE), (0.5, 0.5, NO_DIFFERENCE)]
)
def test_captions_are_judged_by_the_paired_interval(synth2_results, real, mixed, verdict):
    answers = {
        arm: table.assign(score=(real if arm == "real-tokens" else mixed) + table["score"] / 1e6)
        for arm, table in synth2_results.answers.items()
    }
    assert claim(synth2_results, CAPTIONS, answers=answers).verdict == verdict


def test_without_both_arms_captions_are_not_measured(made_project):
    results = read_synth2_results(["genpair"], made_project)
    assert claim(results, CAPTIONS, comparisons=[]).verdict == UNMEASURED


@pytest.mark.parametrize(
    ("step", "genpair", "verdict"),
    [
        (100, CURVES["arms"]["genpair"], HOLDS),
        (200, [*CURVES["arms"]["genpair"][:2], NEVER[0]], NO_DIFFERENCE),
        (None, NEVER, OPPOSITE),
        (300, [[0.1, 0.1, 0.9]] * 3, NO_DIFFERENCE),
    ],
)
def test_fewer_steps_holds_if_every_seed_is_faster_than_the_baseline(synth2_results, step, genpair, verdict):
    curves = deepcopy(CURVES)
    curves["arms"]["genpair"], curves["reached"]["step"] = genpair, step
    assert claim(synth2_results, STEPS, curves=curves).verdict == verdict


@pytest.mark.parametrize(
    ("ratio", "verdict"), [([1.2, 1.1, 1.3], HOLDS), ([1.0, 0.9, 1.1], NO_DIFFERENCE), ([0.8, 0.7, 0.9], OPPOSITE)]
)
def test_speed_is_judged_by_its_range(synth2_results, ratio, verdict):
    assert claim(synth2_results, SPEEDS, speed=SPEED | {"ratio": ratio}).verdict == verdict


@pytest.mark.parametrize(
    ("number", "generated", "reference", "verdict"),
    [
        (ENTROPY, (0.6, 0.6), (0.5, 0.5), HOLDS),
        (SHARE, (0.6, 0.6), (0.5, 0.5), OPPOSITE),
        (ENTROPY, (0.6, 0.5), (0.5, 0.5), DEPENDS),
        (ENTROPY, (0.51, 0.5), (0.5, 0.5), NO_DIFFERENCE),
    ],
)
def test_diversity_is_judged_by_disjoint_intervals_at_every_k(synth2_results, number, generated, reference, verdict):
    diversity = deepcopy(synth2_results.diversity)
    for name, means in (("class-captions", generated), ("reference", reference)):
        for k, mean in zip(diversity["clusters"], means, strict=True):
            numbers = {"mean": mean, "low": mean - 0.01, "high": mean + 0.01}
            diversity["sets"][name]["by_clusters"][str(k)] |= {"entropy": numbers, "top5_share": numbers}
    assert claim(synth2_results, number, diversity=diversity).verdict == verdict


def test_diversity_is_not_measured_with_few_clusters_or_without_a_set(synth2_results):
    assert "k = 2:" not in claim(synth2_results, SHARE).here
    assert "k = 2:" in claim(synth2_results, ENTROPY).here
    diversity = synth2_results.diversity
    assert claim(synth2_results, SHARE, diversity=diversity | {"clusters": [2]}).verdict == UNMEASURED
    one_set = {"sets": {"reference": diversity["sets"]["reference"]}}
    assert claim(synth2_results, ENTROPY, diversity=diversity | one_set).verdict == UNMEASURED
