"""A difference is shown if it is larger than items and trainings explain together."""

import io
import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import ttest_1samp

from synthpairs.evaluation.statistics import detectable, paired
from synthpairs.experiments.results import GAP, ZERO_SHOT, compare, comparison_figure
from synthpairs.report.experiments.tables import verdict

TASKS = [ZERO_SHOT, "desk_vqa"]


def made_up(gains, tasks=TASKS, wrong=0.0):
    """Answers of 80 items about 40 concepts; `gains` by seed: how much likelier `random` is right than `top`."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"set": name, "seed": seed, "task": task, "uid": f"{item:03}", "concept": str(item // 2),
         "score": float(rng.random() < 0.4 + gain * (name == "random")) + wrong}
        for task, (seed, gain), name in itertools.product(tasks, enumerate(gains), ["top", "random"])
        for item in range(80)
    )  # fmt: skip


def results_of(gains, tasks=TASKS, **made):
    return compare(["top", "random"], tasks, made_up(gains, tasks, **made))


def test_values_are_means_over_items_and_seeds():
    table = made_up([0.0, 0.2])
    numbers = compare(["top", "random"], TASKS, table)["tasks"]["desk_vqa"]
    rows = table[(table["task"] == "desk_vqa") & (table["set"] == "random")]
    assert (numbers["n"], numbers["measure"]) == (80, "accuracy")
    assert numbers["sets"]["random"]["value"] == pytest.approx(rows["score"].mean(), abs=1e-4)
    assert numbers["sets"]["random"]["seeds"] == pytest.approx(rows.groupby("seed")["score"].mean().tolist(), abs=1e-4)
    difference = numbers["differences"]["random"]
    assert difference["value"] == pytest.approx(np.mean(difference["seeds"]), abs=1e-4)
    assert difference["low"] < difference["value"] < difference["high"]


def test_a_large_difference_that_every_seed_has_is_shown():
    results = results_of([0.5, 0.5])
    assert all(numbers["differences"]["random"]["shown"] for numbers in results["tasks"].values())
    assert "`random` is better on naming (+0." in verdict(results)


def test_a_difference_that_one_seed_contradicts_is_not_shown():
    difference = results_of([0.6, -0.2])["tasks"]["desk_vqa"]["differences"]["random"]
    assert difference["seeds"][0] > 0 > difference["seeds"][1]
    assert not difference["shown"]
    assert verdict(results_of([0.0, 0.0])) == "Against `top`: `random`: no difference shown."


def crossed(by_seed, by_item, noise=0.0, seed=0):
    """The difference of `random` from `top` whose scores differ by effects of seed and of item, and noise of both."""
    rng = np.random.default_rng(seed)
    rows = [
        {"set": name, "seed": number, "task": ZERO_SHOT, "uid": f"{item:03}", "concept": str(item),
         "score": (name == "random") * (effect + gain + noise * rng.normal())}
        for (number, effect), (item, gain), name in itertools.product(enumerate(by_seed), enumerate(by_item), ["top", "random"])
    ]  # fmt: skip
    return compare(["top", "random"], [ZERO_SHOT], pd.DataFrame(rows))["tasks"][ZERO_SHOT]["differences"]["random"]


def test_where_all_seeds_agree_p_is_that_of_the_items():
    gains = np.random.default_rng(1).normal(0.3, 1.0, 40)
    series = pd.Series(gains, [f"{item:03}" for item in range(40)])
    test = paired(series, 0 * series, list(series.index), 100, 0)
    for seeds in ([0.0, 0.0, 0.0], [0.0]):  # one seed says nothing of trainings
        difference = crossed(seeds, gains)
        assert (difference["p"], difference["detectable"]) == pytest.approx(
            (test.p, detectable(test.error, 39)), abs=1e-5
        )


def test_where_all_items_agree_p_is_that_of_the_seeds():
    seeds = [-0.313, -0.119, -0.427]
    difference = crossed(seeds, np.zeros(40))
    test = ttest_1samp(seeds, 0)
    assert difference["p"] == pytest.approx(test.pvalue, abs=1e-5)
    assert (difference["low"], difference["high"]) == pytest.approx(tuple(test.confidence_interval()), abs=1e-5)
    assert not difference["shown"]


def test_sets_that_do_not_differ_are_seldom_shown_to_differ():
    """By the items alone a fifth of such differences would be."""
    rng = np.random.default_rng(0)
    shown = [
        crossed(rng.normal(0, 0.3, 3), rng.normal(0, 1.0, 50), noise=0.5, seed=number)["shown"] for number in range(100)
    ]
    assert sum(shown) <= 8


def test_p_values_are_corrected_for_all_tests_of_the_comparison():
    results = results_of([0.25, 0.25])
    alone = {task: compare(["top", "random"], [task], made_up([0.25, 0.25])) for task in TASKS}
    raw, corrected = (
        [one["tasks"][task]["differences"]["random"]["p"] for task, one in parts.items()]
        for parts in (alone, dict.fromkeys(TASKS, results))
    )
    assert results["comparisons"] == 2
    assert sorted(corrected) == pytest.approx([2 * min(raw), max(2 * min(raw), max(raw))], abs=3e-4)


def test_a_larger_gap_is_worse():
    results = results_of([0.5, 0.5], [GAP], wrong=-1.0)
    assert results["tasks"][GAP]["sets"]["top"]["low"] < 0
    assert f"`random` is worse on {GAP} (+" in verdict(results)


def test_the_figure_is_the_same_twice():
    results = results_of([0.3, 0.3])
    figure = comparison_figure(results)
    assert comparison_figure(results) == figure
    assert Image.open(io.BytesIO(figure)).width > 300
