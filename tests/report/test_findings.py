from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.findings import against_blind, differences, funnel, rejections, shares
from synthpairs.report.sections.summary import summary
from tests.report.conftest import PARAMS, RANKING


def rescored(inputs, arm, scores, **columns):
    """The inputs with one arm's answers to desk_vqa (with pictures) scored anew, and other columns of its table."""
    table = inputs.answers[arm].assign(**columns)
    table.loc[(table["task"] == "desk_vqa") & ~table["blind"].astype(bool), "score"] = scores
    return replace(inputs, answers=inputs.answers | {arm: table})


def better(compared, one, other, task="desk_vqa"):
    return compared.set_index(["task", "one", "other"]).loc[(task, one, other), "better"]


def test_a_difference_must_survive_the_correction_for_all_comparisons(inputs):
    answers = inputs.answers["selected"]
    scores = answers[(answers["task"] == "desk_vqa") & ~answers["blind"].astype(bool)]["score"]
    noise = np.random.default_rng(0).normal(0, 1, len(scores))
    hardly = 2.1 * noise.std() / len(scores) ** 0.5 + noise - noise.mean()  # alone it would do, by a little
    each = [str(number) for number in range(len(answers))]
    inputs = rescored(inputs, "selected", list(scores), concept=each)
    inputs = rescored(inputs, "random", list(scores - hardly), concept=each)
    alone, among = (differences(inputs, PARAMS, [("selected", "random")] * count) for count in (1, 8))
    of_task = [table[table["task"] == "desk_vqa"].iloc[0] for table in (alone, among)]
    assert of_task[0]["p"] / len(alone) < 0.05 < of_task[1]["p"]
    assert of_task[1]["low"] > 0
    assert of_task[1]["better"] == ""


def test_better_names_the_better_arm_either_way(inputs):
    inputs = rescored(inputs, "random", 0.0)
    compared = differences(inputs, PARAMS)
    assert better(compared, "selected", "random") == "selected"
    assert better(compared, "random", "real") == "real"
    lower = differences(replace(inputs, results=inputs.results.assign(higher_is_better=False)), PARAMS)
    assert better(lower, "selected", "random") == "random"


def test_intervals_that_touch_are_not_clear(inputs):
    judged = against_blind(inputs, PARAMS.key_tasks)
    assert judged["clear"].tolist() == [True] * 6
    touching = inputs.results.copy()
    rows = (touching["arm"] == "real") & (touching["task"] == "desk_vqa")
    touching.loc[rows, "blind_high"] = touching.loc[rows, "low"]
    judged = against_blind(replace(inputs, results=touching), PARAMS.key_tasks)
    assert judged.loc[~judged["clear"], ["arm", "task"]].to_numpy().tolist() == [["real", "desk_vqa"]]


def test_summary_says_yes_only_when_all_are_clear(inputs):
    compared, judged = differences(inputs, PARAMS), against_blind(inputs, PARAMS.key_tasks)
    text = summary(inputs, judged, compared, PARAMS)
    assert "Yes: with the picture `selected`, `random` and `real` answer better than without it" in text
    text = summary(inputs, judged.assign(clear=judged["arm"] != "real"), compared, PARAMS)
    assert "Yes" not in text
    assert "2 of 6 comparisons" in text
    assert "`real` on desk_vqa (" in text


def test_summary_agrees_with_the_table_of_differences(inputs):
    inputs = rescored(inputs, "random", 0.0)
    compared = differences(inputs, PARAMS)
    text = summary(inputs, against_blind(inputs, PARAMS.key_tasks), compared, PARAMS)
    contest = text.split("`selected` against `random`: ")[1].split("\n- *Are the")[0]
    assert contest.startswith("better on desk_vqa (+")
    none_shown = better(compared, "selected", "random", "desk_pope") == ""
    assert (f"{NO_DIFFERENCE} on desk_pope" in contest) == none_shown


def test_funnel_counts_by_source_and_loses_nothing(inputs):
    steps = funnel(inputs)
    assert steps.sum(axis=1).to_dict() == {
        "captions read": 66, "captions kept": 60, "pictures asked for": 120, "pictures made": 120,
        "pictures scored": 120, "pairs selected": 20,
    }  # fmt: skip
    assert list(steps.columns) == ["human", "model"]
    failed = inputs.manifest.head(3)[["key", "uid"]].assign(error="broken")
    fewer = replace(inputs, manifest=inputs.manifest.iloc[3:], unmade=failed)
    assert funnel(fewer).sum(axis=1)[["pictures asked for", "pictures made"]].tolist() == [120, 117]


def test_rejections_come_most_first(inputs):
    more = pd.concat([inputs.rejected, inputs.rejected[inputs.rejected["reason"] == "unusable"].iloc[:1]])
    table = rejections(replace(inputs, rejected=more))
    assert table.sum(axis=1).to_dict() == {"unusable": 3, "alignment": 2, "perplexity": 2}
    assert list(table.index) == ["unusable", "alignment", "perplexity"]


def test_shares_sum_to_one_and_name_what_varies():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"clip_cosine": rng.normal(0.5, 0.1, 4000), "ssim": rng.normal(0.5, 0.1, 4000)})
    of_both = shares(scores, RANKING)  # weights 1 and 0.5 of equal spread: 1 to 0.25
    assert of_both.clip == pytest.approx(0.8, abs=0.03)
    assert of_both.clip + of_both.ssim == pytest.approx(1)
    assert of_both.pearson == pytest.approx(scores["clip_cosine"].corr(scores["ssim"]))
    assert shares(scores, replace(RANKING, clip_weight=0.0)).ssim == pytest.approx(1)


@pytest.mark.parametrize("rows", [[], [(0.3, 0.9)], [(0.3, 0.9), (0.4, 0.9)]])
def test_shares_of_what_does_not_vary_are_unknown(rows):
    unknown = shares(pd.DataFrame(rows, columns=["clip_cosine", "ssim"], dtype=float), RANKING)
    assert np.isnan([unknown.clip, unknown.pearson]).all()
