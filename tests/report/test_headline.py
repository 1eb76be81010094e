"""Headline numbers of a run, in two levels, for whatever arms and tasks there are."""

import math

import pytest

from synthpairs.report.headline import headline
from synthpairs.report.results import read_synth2_results, read_synthvlm_results
from tests.report.conftest import ARMS, PARAMS, TOKEN_ARMS


def test_headline_numbers_are_those_of_the_results(results, synth2_results):
    numbers = headline(results, synth2_results, PARAMS.key_tasks)
    assert numbers["captions"] == {"read": 66, "kept": 60}
    assert numbers["selected"]["pairs"] == 20
    assert numbers["selected"]["ssim"] == pytest.approx(results.selected["ssim"].mean(), abs=1e-4)
    table = results.results.set_index(["task", "arm"])["value"]
    for arm in ARMS:
        tasks = {name: value for name, value in numbers[arm].items() if name.startswith("desk")}
        assert tasks == pytest.approx({task: table[task, arm] for task in PARAMS.key_tasks}, abs=1e-4)
    for task, value in numbers["selected-random"].items():
        assert value == pytest.approx(table[task, "selected"] - table[task, "random"], abs=2e-4)
    for arm in TOKEN_ARMS:
        assert set(numbers[arm]) == set(PARAMS.key_tasks)


@pytest.mark.parametrize("arms", [[], ["random"], ["selected", "real"]])
@pytest.mark.parametrize("token_arms", [[], ["genpair"]])
@pytest.mark.parametrize("tasks", [[], ["desk_sqa"], ["desk_vqa"]])
def test_arms_and_tasks_that_were_not_evaluated_are_left_out(made_project, arms, token_arms, tasks):
    synthvlm, synth2 = read_synthvlm_results(arms, made_project), read_synth2_results(token_arms, made_project)
    numbers = headline(synthvlm, synth2, tasks)
    with_task = {group for group, values in numbers.items() if "desk_vqa" in values}
    assert with_task == ({*arms, *token_arms} if "desk_vqa" in tasks else set())
    assert set(numbers) <= {"captions", "selected", *arms, *token_arms}
    assert all(math.isfinite(number) for group in numbers.values() for number in group.values())
    assert all(numbers.values()), "no group is empty"
