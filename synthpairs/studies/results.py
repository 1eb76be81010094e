"""From the trials' answers to each study's numbers: a set's mean over items and seeds, and its difference to the study's first.

Two things are uncertain: which questions were asked, and how a training happened to go. A difference is shown only where both
speak for it: the paired test over items (means over the seeds, clustered by concept, Holm's correction within the study) and
every seed's own difference, all on one side of 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from synthpairs.statistics import holm, interval, mean, paired, shown
from synthpairs.studies.params import GAP, Study

RESAMPLES, SEED = 2000, 0  # of the bootstrap
PLACES = 4
Measure = tuple[str, tuple[float, float]]  # its name, and the least and the largest score of an item
MEASURES: Mapping[str, Measure] = {"desk_caption": ("cider_d", (0.0, 10.0)), GAP: ("accuracy lost", (-1.0, 1.0))}
ACCURACY: Measure = ("accuracy", (0.0, 1.0))  # the measure of all other tasks
RANKED = 4  # sets, from which on two orders of them can be compared


class Facts(TypedDict):
    """What a training set holds."""

    concepts: int  # different ones
    clip_cosine: float  # mean over the pairs


def study_results(study: Study, answers: pd.DataFrame, facts: Mapping[str, Sequence[Facts]]) -> dict[str, Any]:
    """{sets, pairs, comparisons, tasks, agreement}: of each task its measure, n, sets and differences, by set.

    Of a set: value, low, high, and the values of the seeds; of a difference also p, detectable, and whether it is shown.
    `pairs` repeats `facts`, what the sets hold, by set and seed. `agreement` is Spearman's correlation, over the sets,
    of a task's value with the mean CLIP cosine of the pairs; null where there are too few sets or nothing varies.
    """
    names = [str(chosen) for chosen in study.sets]
    told = compared(names, study.tasks, answers, MEASURES)
    cosines = {name: float(np.mean([fact["clip_cosine"] for fact in facts[name]])) for name in names}
    return told | {
        "pairs": {name: list(facts[name]) for name in names},
        "agreement": {task: _agreement(cosines, numbers["sets"]) for task, numbers in told["tasks"].items()},
    }


def compared(
    names: Sequence[str], tasks: Sequence[str], answers: pd.DataFrame, measures: Mapping[str, Measure]
) -> dict[str, Any]:
    """{sets, comparisons, tasks} of `answers`, rows of ANSWERS with `set` and `seed`; every set against the first of `names`.

    Every seed of a set must have answered the same items. A task that `measures` does not name is one of accuracy.
    """
    told = {task: _task(names, answers[answers["task"] == task], *measures.get(task, ACCURACY)) for task in tasks}
    tested = [told[task]["differences"][name] for task in tasks for name in names[1:]]
    for difference, p in zip(tested, holm([difference["p"] for difference in tested]), strict=True):
        apart = shown(p, difference["low"], difference["high"])
        agree = min(difference["seeds"]) > 0 or max(difference["seeds"]) < 0
        difference["p"] = round(p, PLACES)
        difference["shown"] = apart and agree
    return {"sets": list(names), "comparisons": len(tested), "tasks": told}


def _agreement(cosines: Mapping[str, float], values: Mapping[str, dict[str, Any]]) -> float | None:
    both = pd.DataFrame({"cosine": cosines, "value": {name: row["value"] for name, row in values.items()}}).rank()
    if len(both) < RANKED or (both.nunique() < 2).any():
        return None
    return round(float(both["cosine"].corr(both["value"])), 2)


def _task(names: Sequence[str], answers: pd.DataFrame, measure: str, bounds: tuple[float, float]) -> dict[str, Any]:
    tables = {name: _by_item(answers[answers["set"] == name]) for name in names}
    first = tables[names[0]]
    return {
        "measure": measure,
        "n": len(first),
        "sets": {name: _numbers(table, bounds) for name, table in tables.items()},
        "differences": {name: _difference(tables[name], first) for name in names[1:]},
    }


def _by_item(answers: pd.DataFrame) -> pd.DataFrame:
    """Scores [item, seed]; the index is the item's uid and concept."""
    return answers.pivot(index=["uid", "concept"], columns="seed", values="score")


def _numbers(table: pd.DataFrame, bounds: tuple[float, float]) -> dict[str, Any]:
    over_seeds = table.mean(axis=1)
    low, high = interval(over_seeds.tolist(), _concepts(table), RESAMPLES, SEED, bounds)
    seeds = [round(float(value), PLACES) for value in table.mean()]
    return {
        "value": round(mean(over_seeds.tolist()), PLACES),
        "low": round(low, PLACES),
        "high": round(high, PLACES),
        "seeds": seeds,
    }


def _difference(table: pd.DataFrame, first: pd.DataFrame) -> dict[str, Any]:
    ours, theirs = (part.mean(axis=1).droplevel("concept") for part in (table, first))
    found = paired(ours, theirs, _concepts(table), RESAMPLES, SEED)
    return {
        "value": round(found.value, PLACES),
        "low": round(found.low, PLACES),
        "high": round(found.high, PLACES),
        "p": found.p,
        "detectable": round(found.detectable, PLACES),
        "seeds": [round(float(value), PLACES) for value in (table.mean() - first.mean())],
    }


def _concepts(table: pd.DataFrame) -> list[str]:
    return list(table.index.get_level_values("concept"))
