"""Comparison of training sets over several seeds: numbers and figure.

Items and trainings are both sources of variance, crossed: every training is asked the same items. The variance of a
difference is that of its mean over items, clustered by concept, plus that of its mean over seeds. That is conservative, for
what is an item's and a training's alone is counted twice (Owen and Eckles 2012, arXiv 1106.2125). The t-test has
Satterthwaite's degrees of freedom. A difference is shown if p, Holm-corrected over all tests of the comparison, is below
0.05. With one seed the variance of trainings is not known, and left out.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import t as student

from synthpairs.core.plots import ACCENT, INK, MID, plot_style, png
from synthpairs.evaluation.statistics import LEVEL, detectable, holm, interval, mean, p_value, shown, standard_error

RESAMPLES, SEED = 2000, 0  # of the bootstrap
DECIMALS = 6
COLUMNS = 2  # of a figure's panels, at most
ZERO_SHOT, UNSEEN, GAP = "naming", "naming_unseen", "style_gap"  # tasks of `strategies`, see there
LOSS, PREFERENCE, CONTROL = "text_loss", "preference", "control"  # tasks of `seeds`, see there
FEW, REGENERATED = "few-real", "regenerated"  # control sets of `learning_curves`, see token_controls
Measure = tuple[str, tuple[float, float]]  # its name, and the least and the largest score of an item
CIDER: Measure = ("cider_d", (0.0, 10.0))
CAPTIONING_TASKS = ("coco_caption", "flickr30k_caption", "desk_caption")  # the paper's first
MEASURES: Mapping[str, Measure] = {
    **dict.fromkeys(CAPTIONING_TASKS, CIDER),
    GAP: ("accuracy lost", (-1.0, 1.0)),
    LOSS: ("nats per token", (0.0, 100.0)),
    PREFERENCE: ("win rate", (0.0, 1.0)),
    CONTROL: ("right", (0.0, 1.0)),
}
ACCURACY: Measure = ("accuracy", (0.0, 1.0))  # the measure of all other tasks


def compare(names: Sequence[str], tasks: Sequence[str], answers: pd.DataFrame) -> dict[str, Any]:
    """{sets, comparisons, tasks} from the answers of `run_trials`; every set against the first of `names`.

    Each task has measure, n, sets and differences by set: value, low, high and each seed's value; differences also p,
    detectable and shown. All seeds of a set must have the same items.
    """
    tests = len(tasks) * (len(names) - 1)
    results = {
        task: _task(names, answers[answers["task"] == task], *MEASURES.get(task, ACCURACY), tests) for task in tasks
    }
    differences = [results[task]["differences"][name] for task in tasks for name in names[1:]]
    for difference, p in zip(differences, holm([difference["p"] for difference in differences]), strict=True):
        difference["shown"] = shown(p, difference["low"], difference["high"])
        difference["p"] = round(p, DECIMALS)
    return {"sets": list(names), "comparisons": tests, "tasks": results}


def seed_results(answers: pd.DataFrame, untouched: Sequence[str], arms: Sequence[str]) -> dict[str, Any]:
    """{seeds, benchmarks, language, preference} of experiment `seeds`, the last three as of `compare`.

    Arms are compared with the first arm; their language with the first of `untouched`, models that no arm has trained.
    """
    tasks = sorted(set(answers["task"]) - {LOSS, PREFERENCE, CONTROL})
    return {
        "seeds": sorted(set(answers["seed"])),  # in the order of every list of seeds
        "benchmarks": compare(arms, tasks, answers),
        "language": compare([*untouched, *arms], [LOSS], answers),
        "preference": compare(arms, [PREFERENCE, CONTROL], answers),
    }


def _task(
    names: Sequence[str], answers: pd.DataFrame, measure: str, bounds: tuple[float, float], tests: int
) -> dict[str, Any]:
    tables = {  # scores [item, seed]
        name: answers[answers["set"] == name].pivot(index=["uid", "concept"], columns="seed", values="score")
        for name in names
    }
    return {
        "measure": measure,
        "n": len(tables[names[0]]),
        "sets": {name: _values(table, bounds) for name, table in tables.items()},
        "differences": {name: _difference(tables[name], tables[names[0]], tests) for name in names[1:]},
    }


def _values(table: pd.DataFrame, bounds: tuple[float, float]) -> dict[str, Any]:
    scores = table.mean(axis=1).tolist()
    low, high = interval(scores, _concepts(table), RESAMPLES, SEED, bounds)
    return _rounded(value=mean(scores), low=low, high=high) | {"seeds": _by_seed(table.mean())}


def _difference(table: pd.DataFrame, first: pd.DataFrame, tests: int) -> dict[str, Any]:
    if not table.index.equals(first.index):
        raise ValueError(
            "only sets that were asked the same items can be compared: remove the work store of the experiment"
        )
    differences, concepts = table - first, _concepts(table)
    by_seed, seeds = differences.mean(), differences.shape[1]
    value = float(by_seed.mean())
    over_items = standard_error(differences.mean(axis=1).tolist(), concepts)
    over_seeds = float(by_seed.sem()) if seeds > 1 else 0.0
    variance = over_items**2 + over_seeds**2
    parts = over_items**4 / max(1, len(set(concepts)) - 1) + over_seeds**4 / max(1, seeds - 1)
    error, degrees = math.sqrt(variance), variance**2 / parts if parts else 1  # any, where nothing varies
    margin = error * float(student.ppf((1 + LEVEL) / 2, degrees))
    smallest = detectable(error, degrees, tests)
    numbers = _rounded(value=value, low=value - margin, high=value + margin, detectable=smallest)
    return numbers | {"p": p_value(value, error, degrees), "seeds": _by_seed(by_seed)}


def _concepts(table: pd.DataFrame) -> list[str]:
    return list(table.index.get_level_values("concept"))


def _by_seed(means: pd.Series) -> list[float]:
    return [round(float(value), DECIMALS) for value in means]


def _rounded(**numbers: float) -> dict[str, Any]:
    return {name: round(number, DECIMALS) for name, number in numbers.items()}


def comparison_figure(results: dict[str, Any]) -> bytes:
    """PNG of results of `compare`: a panel per task with each set's mean, 95% interval and seeds; deterministic."""
    names, tasks = results["sets"], results["tasks"]
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    with plot_style():
        figure = Figure(figsize=(7.6, (0.75 + 0.34 * len(names)) * rows), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        for (task, numbers), axes in zip(tasks.items(), panels, strict=False):
            for position, name in enumerate(names):
                row = numbers["sets"][name]
                axes.plot([row["low"], row["high"]], [position] * 2, color=INK, linewidth=1.6, solid_capstyle="butt")
                fill = "white" if position else ACCENT
                axes.plot(row["value"], position, "o", markerfacecolor=fill, markeredgecolor=INK, markersize=7)
                axes.plot(row["seeds"], [position + 0.28] * len(row["seeds"]), "|", color=MID, markersize=7)
            axes.axvline(numbers["sets"][names[0]]["value"], color=MID, linewidth=0.8, linestyle=":")
            axes.set_title(f"{task} ({numbers['measure']}, n = {numbers['n']:,})")
            axes.set_yticks(range(len(names)), names)
            axes.grid(axis="x")
        for axes in panels[len(tasks) :]:
            axes.axis("off")
        panels[0].invert_yaxis()
        figure.supxlabel("dot: mean of the seeds; line: 95% interval over items; ticks below: the seeds", fontsize=9)
        return png(figure)
