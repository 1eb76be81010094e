"""From the trials' answers to each study's numbers: a set's mean over items and seeds, and its difference to the study's first.

Two things are uncertain: which questions were asked, and how a training happened to go. A difference is shown only where both
speak for it: the paired test over items (means over the seeds, clustered by concept, Holm's correction within the study) and
every seed's own difference, all on one side of 0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from synthpairs.significance import holm, paired, shown
from synthpairs.statistics import interval, mean
from synthpairs.studies.params import NAMING, TrainingSet

RESAMPLES, SEED = 2000, 0  # of the bootstrap
PLACES = 4
MEASURES = {"desk_caption": ("cider_d", 10.0)}  # and the largest possible score; of all others accuracy, 1


def study_results(
    sets: Sequence[TrainingSet], answers: pd.DataFrame, concepts: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """{sets, concepts: {set: by seed}, comparisons, tasks}: of each task its measure, n, sets and differences, by set.

    Of a set: value, low, high, and the values of the seeds; of a difference also p, detectable, and whether it is shown.
    """
    names = [str(chosen) for chosen in sets]
    tasks = [NAMING, *sorted(set(answers["task"]) - {NAMING})]
    told = {
        task: _task(names, answers[answers["task"] == task], *MEASURES.get(task, ("accuracy", 1.0))) for task in tasks
    }
    tested = [told[task]["differences"][name] for task in tasks for name in names[1:]]
    for difference, p in zip(tested, holm([difference["p"] for difference in tested]), strict=True):
        apart = shown(p, difference["low"], difference["high"])
        agree = min(difference["seeds"]) > 0 or max(difference["seeds"]) < 0
        difference["p"] = round(p, PLACES)
        difference["shown"] = apart and agree
    covered = {name: list(concepts[name]) for name in names}
    return {"sets": names, "concepts": covered, "comparisons": len(tested), "tasks": told}


def _task(names: Sequence[str], answers: pd.DataFrame, measure: str, top: float) -> dict[str, Any]:
    tables = {name: _by_item(answers[answers["set"] == name]) for name in names}
    first = tables[names[0]]
    return {
        "measure": measure,
        "n": len(first),
        "sets": {name: _numbers(table, top) for name, table in tables.items()},
        "differences": {name: _difference(tables[name], first) for name in names[1:]},
    }


def _by_item(answers: pd.DataFrame) -> pd.DataFrame:
    """Scores [item, seed]; the index is the item's uid and concept."""
    return answers.pivot(index=["uid", "concept"], columns="seed", values="score")


def _numbers(table: pd.DataFrame, top: float) -> dict[str, Any]:
    over_seeds = table.mean(axis=1)
    low, high = interval(over_seeds.tolist(), _concepts(table), RESAMPLES, SEED, (0.0, top))
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
