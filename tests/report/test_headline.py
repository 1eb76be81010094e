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
    assert set(numbers["desk_caption"]) == set(TOKEN_ARMS), "the arms of pictures were not asked"
    table = results.results.set_index(["task", "arm"])["value"]
    for task in PARAMS.key_tasks:
        assert set(numbers[task]) == {*ARMS, *TOKEN_ARMS, "selected_minus_random"}
        assert numbers[task]["real"] == pytest.approx(table[task, "real"], abs=1e-4)
        difference = table[task, "selected"] - table[task, "random"]
        assert numbers[task]["selected_minus_random"] == pytest.approx(difference, abs=2e-4)


@pytest.mark.parametrize("arms", [[], ["random"], ["selected", "real"]])
@pytest.mark.parametrize("token_arms", [[], ["genpair"]])
@pytest.mark.parametrize("tasks", [[], ["desk_sqa"], ["desk_vqa"]])
def test_arms_and_tasks_that_were_not_evaluated_are_left_out(made_project, arms, token_arms, tasks):
    synthvlm, synth2 = read_synthvlm_results(arms, made_project), read_synth2_results(token_arms, made_project)
    numbers = headline(synthvlm, synth2, tasks)
    assert set(numbers.get("desk_vqa", {})) == {arm for arm in (*arms, *token_arms) if "desk_vqa" in tasks}
    assert set(numbers) <= {"captions", "selected", "desk_caption", "desk_vqa"}
    assert all(math.isfinite(number) for group in numbers.values() for number in group.values())
    assert all(numbers.values()), "no group is empty"
