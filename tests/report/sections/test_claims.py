from copy import deepcopy
from dataclasses import replace

import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.analysis import differences
from synthpairs.report.results import read_synth2_results
from synthpairs.report.sections.claims import DEPENDS, HOLDS, OPPOSITE, UNMEASURED, claims
from tests.report.conftest import PARAMS

CAPTIONS, SHARE, ENTROPY = range(3)


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


def test_coco_stands_for_itself_where_it_was_asked(synth2_results):
    results = replace(
        synth2_results,
        results=synth2_results.results.replace({"task": {"desk_caption": "coco_caption"}}),
        answers={
            arm: table.replace({"task": {"desk_caption": "coco_caption"}})
            for arm, table in synth2_results.answers.items()
        },
    )
    assert claim(results, CAPTIONS).here.startswith("coco_caption, ")


def test_without_both_arms_captions_are_not_measured(made_project):
    results = read_synth2_results(["genpair"], made_project)
    assert claim(results, CAPTIONS, comparisons=[]).verdict == UNMEASURED


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
