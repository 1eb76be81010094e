from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.findings import Ranking, against_blind, differences, funnel, rejections, shares
from synthpairs.report.inputs import read_inputs
from synthpairs.report.sections.summary import summary

ARMS = ("selected", "random", "real")


@pytest.fixture
def inputs(project):
    return read_inputs(ARMS)


def with_scores(inputs, arm, scores):
    """The inputs with one arm's answers to desk_vqa (with pictures) scored anew."""
    table = inputs.answers[arm].copy()
    asked = (table["task"] == "desk_vqa") & ~table["blind"].astype(bool)
    table.loc[asked, "score"] = scores
    return replace(inputs, answers=inputs.answers | {arm: table})


def test_a_difference_must_survive_the_correction_for_all_comparisons(inputs, params):
    answers = inputs.answers["selected"]
    asked = answers[(answers["task"] == "desk_vqa") & ~answers["blind"].astype(bool)]
    noise = np.random.default_rng(0).normal(0, 1, len(asked))
    hardly = 2.1 * noise.std() / len(asked) ** 0.5 + noise - noise.mean()  # alone it would do, by a little
    inputs = with_scores(inputs, "random", list(asked["score"] - hardly))
    inputs.answers["random"]["concept"] = inputs.answers["selected"]["concept"] = [f"{n}" for n in range(len(answers))]
    alone, among = (differences(inputs, params, [("selected", "random")] * count) for count in (1, 8))
    of_task = [table[table["task"] == "desk_vqa"].iloc[0] for table in (alone, among)]
    raw = of_task[0]["p"] / len(alone)
    assert raw < 0.05 < of_task[1]["p"]
    assert of_task[1]["low"] > 0
    assert of_task[1]["better"] == ""


def test_better_names_the_better_arm_either_way(inputs, params):
    compared = differences(with_scores(inputs, "random", 0.0), params).set_index(["task", "one", "other"])
    assert compared.loc[("desk_vqa", "selected", "random"), "better"] == "selected"
    assert compared.loc[("desk_vqa", "random", "real"), "better"] == "real"
    assert compared.loc[("desk_vqa", "selected", "random"), "value"] > 0


def test_lower_can_be_better(inputs, params):
    inputs = with_scores(inputs, "random", 0.0)
    inputs = replace(inputs, results=inputs.results.assign(higher_is_better=False))
    compared = differences(inputs, params).set_index(["task", "one", "other"])
    assert compared.loc[("desk_vqa", "selected", "random"), "better"] == "random"


def test_intervals_that_touch_are_not_clear(inputs, params):
    judged = against_blind(inputs, params.key_tasks)
    assert judged["clear"].all()
    assert len(judged) == 6
    rows = (inputs.results["arm"] == "real") & (inputs.results["task"] == "desk_vqa")
    touching = inputs.results.copy()
    touching.loc[rows, "blind_high"] = touching.loc[rows, "low"]
    judged = against_blind(replace(inputs, results=touching), params.key_tasks)
    assert judged.loc[~judged["clear"], ["arm", "task"]].to_numpy().tolist() == [["real", "desk_vqa"]]


def test_summary_says_yes_only_when_all_are_clear(inputs, params):
    compared = differences(inputs, params)
    judged = against_blind(inputs, params.key_tasks)
    said = summary(inputs, judged, compared, params)
    assert "Yes: with the picture `selected`, `random` and `real` answer better than without it" in said
    said = summary(inputs, judged.assign(clear=judged["arm"] != "real"), compared, params)
    assert "Yes" not in said
    assert "2 of 6 comparisons" in said
    assert "`real` on desk_vqa (" in said


def test_summary_agrees_with_the_table_of_differences(inputs, params):
    inputs = with_scores(inputs, "random", 0.0)
    compared = differences(inputs, params)
    said = summary(inputs, against_blind(inputs, params.key_tasks), compared, params)
    contest = said.split("`selected` against `random`: ")[1].split("\n- *Are the")[0]
    assert contest.startswith("better on desk_vqa (+")
    shown = compared[(compared["one"] == "selected") & (compared["other"] == "random")].set_index("task")["better"]
    assert (f"{NO_DIFFERENCE} on desk_pope" in contest) == (shown["desk_pope"] == "")


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
    assert list(table.index) == ["unusable", "alignment", "perplexity"]
    assert table.loc["unusable"].sum() == 3


def test_shares_sum_to_one_and_name_what_varies(ranking):
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"clip_cosine": rng.normal(0.5, 0.1, 4000), "ssim": rng.normal(0.5, 0.1, 4000)})
    found = shares(scores, ranking)  # weights 1 and 0.5 of equal spread: 1 to 0.25
    assert found.clip == pytest.approx(0.8, abs=0.03)
    assert found.clip + found.ssim == pytest.approx(1)
    assert shares(
        scores, Ranking(strategy="top", fusion="sum", clip_weight=0.0, ssim_weight=1.0)
    ).ssim == pytest.approx(1)
    assert found.pearson == pytest.approx(scores["clip_cosine"].corr(scores["ssim"]))


@pytest.mark.parametrize("rows", [[], [(0.3, 0.9)], [(0.3, 0.9), (0.4, 0.9)]])
def test_shares_of_what_does_not_vary_are_unknown(rows, ranking):
    found = shares(pd.DataFrame(rows, columns=["clip_cosine", "ssim"], dtype=float), ranking)
    assert np.isnan(found.clip)
    assert np.isnan(found.pearson)
