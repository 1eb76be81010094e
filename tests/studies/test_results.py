"""When a study calls a difference shown: the items and every seed must speak for it."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthpairs.studies.figure import study_figure
from synthpairs.studies.page import studies_page, verdict
from synthpairs.studies.params import GAP, NAMING, Studies, Study, TrainingSet
from synthpairs.studies.results import study_results

SETS = [TrainingSet("top", 8), TrainingSet("random", 8)]
STUDY = Study(SETS, [NAMING, "desk_vqa"])
FACTS = {
    "top-8": [{"concepts": 5, "clip_cosine": 0.4}] * 2,
    "random-8": [{"concepts": 7, "clip_cosine": 0.31}, {"concepts": 6, "clip_cosine": 0.3}],
}
STUDIES = Studies(
    seeds=[0, 1], sizes=[], per_concept=2, guidances=[], steps=2, tasks=["desk_vqa"], tuned=["selection", "ablation"],
    tuned_seeds=2, items=4,
)  # fmt: skip


def answers(gains):
    """Answers of 80 items about 40 concepts; `gains` by seed: how much likelier `random` answers right than `top`."""
    rng = np.random.default_rng(0)
    rows = []
    for task, (seed, gain), chosen in itertools.product([NAMING, "desk_vqa"], enumerate(gains), SETS):
        share = 0.4 + gain * (chosen.way == "random")
        for item in range(80):
            rows.append({"set": str(chosen), "seed": seed, "task": task, "uid": f"{item:03}", "concept": str(item // 2),
                         "score": float(rng.random() < share)})  # fmt: skip
    return pd.DataFrame(rows)


def results_of(table):
    return study_results(STUDY, table, FACTS)


def test_values_are_means_over_items_and_seeds():
    table = answers([0.0, 0.2])
    told = results_of(table)["tasks"]["desk_vqa"]
    part = table[(table["task"] == "desk_vqa") & (table["set"] == "random-8")]
    assert told["n"] == 80
    assert told["sets"]["random-8"]["value"] == pytest.approx(part["score"].mean(), abs=1e-4)
    assert told["sets"]["random-8"]["seeds"] == pytest.approx(part.groupby("seed")["score"].mean().tolist(), abs=1e-4)
    difference = told["differences"]["random-8"]
    assert difference["value"] == pytest.approx(np.mean(difference["seeds"]), abs=1e-4)
    assert difference["low"] < difference["value"] < difference["high"]


def test_a_large_difference_that_every_seed_has_is_shown():
    told = results_of(answers([0.5, 0.5]))
    assert all(numbers["differences"]["random-8"]["shown"] for numbers in told["tasks"].values())
    assert "`random-8` is better on naming" in verdict(told)


def test_a_difference_that_one_seed_contradicts_is_not_shown_however_large():
    told = results_of(answers([0.6, -0.2]))
    difference = told["tasks"]["desk_vqa"]["differences"]["random-8"]
    assert difference["seeds"][0] > 0 > difference["seeds"][1]
    assert not difference["shown"]


def test_no_difference_is_said_to_be_none_shown():
    assert verdict(results_of(answers([0.0, 0.0]))) == "Against `top-8`: `random-8`: no difference shown."


def test_p_values_are_corrected_for_all_tests_of_the_study():
    told = results_of(answers([0.25, 0.25]))
    assert told["comparisons"] == 2
    from synthpairs.statistics import paired

    table = answers([0.25, 0.25])
    raw = []
    for task in (NAMING, "desk_vqa"):
        means = table[table["task"] == task].groupby(["set", "uid"])["score"].mean()
        clusters = [str(int(uid) // 2) for uid in means["random-8"].index]
        raw.append(paired(means["random-8"], means["top-8"], clusters, 100, 0).p)
    smaller, larger = sorted(raw)
    found = sorted(numbers["differences"]["random-8"]["p"] for numbers in told["tasks"].values())
    assert found == pytest.approx([2 * smaller, max(2 * smaller, larger)], abs=1e-4)


def test_the_page_and_the_plot_are_the_same_twice():
    results = {name: results_of(answers([0.3, 0.3])) for name in ("selection", "ablation")}
    page = studies_page(results, STUDIES, 3.0)
    assert page == studies_page(results, STUDIES, 3.0)
    assert page.count("](selection.png)") == page.count("](ablation.png)") == 1
    assert "(seeds 0, 1)" in page
    assert "| the pairs | concepts |  | 5 | 6 to 7 |" in page
    assert "| the pairs | clip cosine |  | 0.400 | 0.300 to 0.310 |" in page
    first = study_figure(results["selection"])
    assert first == study_figure(results["selection"])
    assert Image.open(io.BytesIO(first)).width > 300


def test_whether_the_cosine_foretells_a_task_is_a_rank_correlation_over_the_sets():
    sets = [TrainingSet("guidance", 8, scale) for scale in (1.0, 2.0, 5.0, 8.0)]
    rows = [
        {"set": str(chosen), "seed": seed, "task": NAMING, "uid": str(item), "concept": str(item // 2),
         "score": float(item < right)}
        for chosen, right in zip(sets, (10, 20, 40, 30), strict=True) for seed in (0, 1) for item in range(50)
    ]  # fmt: skip
    facts = {str(chosen): [{"concepts": 3, "clip_cosine": place / 10}] * 2 for place, chosen in enumerate(sets)}
    told = study_results(Study(sets, [NAMING]), pd.DataFrame(rows), facts)
    assert told["agreement"] == {NAMING: 0.8}  # 1 - 6 x (0 + 0 + 1 + 1) / (4 x 15)
    flat = {name: [{"concepts": 3, "clip_cosine": 0.3}] * 2 for name in facts}
    assert study_results(Study(sets, [NAMING]), pd.DataFrame(rows), flat)["agreement"] == {NAMING: None}


def test_to_lose_more_is_worse():
    rng = np.random.default_rng(0)
    rows = [
        {"set": str(chosen), "seed": seed, "task": GAP, "uid": str(item), "concept": str(item // 2),
         "score": float(rng.integers(-1, 1) + (chosen.way == "random"))}
        for chosen in SETS for seed in (0, 1) for item in range(80)
    ]  # fmt: skip
    told = study_results(Study(SETS, [GAP]), pd.DataFrame(rows), FACTS)
    assert told["tasks"][GAP]["sets"]["top-8"]["low"] < 0
    assert f"`random-8` is worse on {GAP} (+" in verdict(told)
