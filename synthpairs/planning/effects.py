"""The smallest difference between two arms that a benchmark of so many items can show."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from synthpairs.significance import detectable
from synthpairs.statistics import standard_error

DIFFER = 0.25  # share of the items that two arms answer differently, where no answers tell; at desk scale 0.1 to 0.3

GRADED = "_caption"  # benchmarks whose items are not just right or wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Of one benchmark, in units of its score."""

    task: str
    items: int
    detectable: float
    told: str  # where the spread comes from


def effects(items: dict[str, int], arms: Sequence[str], answers: Path) -> list[Effect]:
    """Per benchmark the difference that a two-sided paired test at 5% sees four times in five.

    (t(0.975) + t(0.8)) x SE, as `compare` has it (synthpairs/significance.py). SE is that of the first two `arms` whose answers
    lie in `answers`, clustered, times sqrt(n then / n planned). Without answers SE = sqrt(DIFFER / n): an item's difference is
    then -1, 0 or 1; scores of captions are no such thing, so without answers nothing is said of them.
    """
    known = _known(arms, answers)
    found = []
    for task, count in items.items():
        if count < 2 or (task not in known and task.endswith(GRADED)):
            continue
        if task in known:
            error, free, before, told = known[task]
            error *= math.sqrt(before / count)
        else:
            error, free = math.sqrt(DIFFER / count), count - 1
            told = f"assumed: {DIFFER:.0%} of the items answered differently, right or wrong"
        found.append(Effect(task=task, items=count, detectable=detectable(error, free), told=told))
    return found


def _known(arms: Sequence[str], answers: Path) -> dict[str, tuple[float, int, int, str]]:
    """Standard error, degrees of freedom and items of the first two arms that answered, by task."""
    tables = [path for arm in arms if (path := answers / f"{arm}.parquet").exists()]
    found = {}
    for first, second in itertools.pairwise(tables):
        both = pd.read_parquet(first).merge(pd.read_parquet(second), on=["uid", "task", "blind"])
        for task, rows in both[~both["blind"].astype(bool)].groupby("task"):
            clusters = rows["concept_x"].tolist()
            if task in found or len(set(clusters)) < 2:
                continue
            error = standard_error((rows["score_x"] - rows["score_y"]).tolist(), clusters)
            if error:
                told = f"answers of {first.stem} and {second.stem}"
                found[str(task)] = (error, len(set(clusters)) - 1, len(rows), told)
    return found
