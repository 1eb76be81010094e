"""From the answers to numbers: each arm over all seeds, against the first of what it is held against."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from synthpairs.preference.measures import EVEN
from synthpairs.repeats.params import CONTROL, LOSS, PREFERENCE
from synthpairs.studies.results import MEASURES, Measure, compared

OWN: dict[str, Measure] = {
    LOSS: ("nats per token", (0.0, 100.0)),
    PREFERENCE: ("win rate", (0.0, 1.0)),
    CONTROL: ("right", (0.0, 1.0)),
}


def repeat_results(answers: pd.DataFrame, arms: Sequence[str]) -> dict[str, Any]:
    """{seeds, benchmarks, language, preference}, the last three as `studies.results.compared` has them.

    `answers` as `measure.measure_repeats` gives them. Arms are held against the first of them, language against the first model
    that no arm has trained.
    """
    sets = list(dict.fromkeys(answers["set"]))
    tasks = sorted(set(answers["task"]) - set(OWN))
    untouched = [name for name in sets if name not in arms]
    return {
        "seeds": sorted(set(answers["seed"])),  # the order of every value's own list of seeds
        "benchmarks": compared(arms, tasks, answers, MEASURES),
        "language": compared([*untouched, *arms], [LOSS], answers, OWN),
        "preference": compared(arms, [PREFERENCE, CONTROL], answers, OWN),
    }


def side(row: dict[str, Any]) -> int:
    """1 where a rate is shown to be above one half, -1 below, 0 neither: its interval and every seed must say so."""
    above, below = min(row["low"], *row["seeds"]) > EVEN, max(row["high"], *row["seeds"]) < EVEN
    return int(above) - int(below)
