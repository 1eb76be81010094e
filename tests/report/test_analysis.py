from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.analysis import (
    against_blind,
    differences,
    funnel,
    rejections,
    score_statistics,
    yes_no_measures,
)
from synthpairs.report.sections.summary import summary
from tests.report.conftest import PARAMS, SELECT


def rescored(results, arm, scores, **columns):
    """Other scores for one arm's answers to desk_vqa (with images), and other columns in its table."""
    table = results.answers[arm].assign(**columns)
    table.loc[(table["task"] == "desk_vqa") & ~table["blind"].astype(bool), "score"] = scores
    return replace(results, answers=results.answers | {arm: table})


def better(compared, one, other, task="desk_vqa"):
    return compared.set_index(["task", "one", "other"]).loc[(task, one, other), "better"]


def test_a_difference_must_survive_the_correction_for_all_comparisons(results):
    answers = results.answers["selected"]
    scores = answers[(answers["task"] == "desk_vqa") & ~answers["blind"].astype(bool)]["score"]
    noise = np.random.default_rng(0).normal(0, 1, len(scores))
    small = 2.1 * noise.std() / len(scores) ** 0.5 + noise - noise.mean()  # just significant without a correction
    each = [str(number) for number in range(len(answers))]
    results = rescored(results, "selected", list(scores), concept=each)
    results = rescored(results, "random", list(scores - small), concept=each)
    alone, among = (differences(results, PARAMS, [("selected", "random")] * count) for count in (1, 8))
    rows = [table[table["task"] == "desk_vqa"].iloc[0] for table in (alone, among)]
    assert rows[0]["p"] / len(alone) < 0.05 < rows[1]["p"]
    assert rows[1]["low"] > 0
    assert rows[1]["better"] == ""


def test_better_names_the_better_arm_in_either_direction(results):
    results = rescored(results, "random", 0.0)
    compared = differences(results, PARAMS)
    assert better(compared, "selected", "random") == "selected"
    assert better(compared, "random", "real") == "real"
    lower = differences(replace(results, results=results.results.assign(higher_is_better=False)), PARAMS)
    assert better(lower, "selected", "random") == "random"


def test_overlapping_intervals_are_not_clear(results):
    assert against_blind(results, PARAMS.key_tasks)["clear"].tolist() == [True] * 6
    overlapping = results.results.copy()
    rows = (overlapping["arm"] == "real") & (overlapping["task"] == "desk_vqa")
    overlapping.loc[rows, "blind_high"] = overlapping.loc[rows, "low"]
    judged = against_blind(replace(results, results=overlapping), PARAMS.key_tasks)
    assert judged.loc[~judged["clear"], ["arm", "task"]].to_numpy().tolist() == [["real", "desk_vqa"]]


def test_summary_agrees_with_the_tables(results):
    results = rescored(results, "random", 0.0)
    compared, blind = differences(results, PARAMS), against_blind(results, PARAMS.key_tasks)
    text = summary(results, blind, compared, PARAMS)
    assert "**Yes**, all of them on desk_vqa and desk_pope" in text
    answer = text.split("`selected` against `random`: ")[1].split("\n- *Are the")[0]
    assert "**better** on desk_vqa (+" in answer
    assert ("on desk_pope" in answer.split("; true differences")[0]) == (
        better(compared, "selected", "random", "desk_pope") == "selected"
    )
    others = sum(better(compared, "selected", "random", task) == "" for task in set(compared["task"]))
    assert (f"{NO_DIFFERENCE} on the other {others}" in answer) == (others > 0)
    text = summary(results, blind.assign(clear=blind["arm"] != "real"), compared, PARAMS)
    assert "**Yes**" not in text
    assert "**Not shown for all**" in text
    assert "`real` on desk_vqa (" in text


def test_funnel_counts_captions_images_and_pairs(results):
    steps = funnel(results)
    assert steps.sum(axis=1).to_dict() == {
        "captions read": 66, "captions kept": 60, "images requested": 120, "images generated": 120,
        "images scored": 120, "pairs selected": 20,
    }  # fmt: skip
    assert list(steps.columns) == ["human", "model"]
    failed = results.manifest.head(3)[["key", "uid"]].assign(error="broken")
    fewer = replace(results, manifest=results.manifest.iloc[3:], failed=failed)
    assert funnel(fewer).sum(axis=1)[["images requested", "images generated"]].tolist() == [120, 117]


def test_rejections_are_ordered_by_count(results):
    more = pd.concat([results.rejected, results.rejected[results.rejected["reason"] == "not usable as text"].iloc[:1]])
    table = rejections(replace(results, rejected=more))
    assert list(table.sum(axis=1).items()) == [
        ("not usable as text", 3),
        ("high perplexity", 2),
        ("low CLIP cosine", 2),
    ]


def test_shares_of_the_variance_sum_to_one():
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"clip_cosine": rng.normal(0.5, 0.1, 4000), "ssim": rng.normal(0.5, 0.1, 4000)})
    statistics = score_statistics(scores, SELECT)  # weights 1 and 0.5 of equal spread: 1 to 0.25
    assert statistics.clip_share == pytest.approx(0.8, abs=0.03)
    assert statistics.clip_share + statistics.ssim_share == pytest.approx(1)
    assert statistics.pearson == pytest.approx(scores["clip_cosine"].corr(scores["ssim"]))
    assert score_statistics(scores, replace(SELECT, clip_weight=0.0)).ssim_share == pytest.approx(1)


@pytest.mark.parametrize("rows", [[], [(0.3, 0.9)], [(0.3, 0.9), (0.4, 0.9)]])
def test_statistics_of_constant_scores_are_unknown(rows):
    unknown = score_statistics(pd.DataFrame(rows, columns=["clip_cosine", "ssim"], dtype=float), SELECT)
    assert np.isnan([unknown.clip_share, unknown.pearson]).all()


def test_answers_of_yes_or_no_have_popes_measures(results):
    arm = results.evaluated[0]
    said = ["yes", "Yes", "yes", "no", "no"]
    scores = [1.0, 1.0, 0.0, 1.0, 0.0]  # truly yes: both right ones and the wrong no
    answers = pd.DataFrame({"task": "desk_pope", "blind": False, "prediction": said, "score": scores})
    other = answers.assign(task="desk_vqa", prediction=["red", "yes", "no", "no", "no"])
    blind = answers.assign(blind=True, score=0.0)
    table = yes_no_measures(replace(results, answers={arm: pd.concat([answers, other, blind])}))
    assert list(table["task"]) == ["desk_pope"]
    row = table.iloc[0]
    assert (row["n"], row["accuracy"], row["share of yes"]) == (5, 0.6, 0.6)
    assert [row[name] for name in ("precision", "recall", "F1")] == pytest.approx([2 / 3] * 3)


def test_an_arm_that_never_says_yes_has_no_precision(results):
    arm = results.evaluated[0]
    answers = pd.DataFrame({"task": "desk_pope", "blind": False, "prediction": "no", "score": [1.0, 0.0]})
    row = yes_no_measures(replace(results, answers={arm: answers})).iloc[0]
    assert list(row[["precision", "recall", "F1"]].fillna(-1)) == [-1, 0, -1]


def test_a_task_that_one_arm_answers_otherwise_has_no_measures_of_yes(results):
    one, other = results.evaluated[:2]
    answers = pd.DataFrame({"task": "desk_pope", "blind": False, "prediction": "no", "score": [1.0, 0.0]})
    assert yes_no_measures(replace(results, answers={one: answers, other: answers.assign(prediction="a dog")})).empty
