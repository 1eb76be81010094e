"""From single answers to one arm's numbers: value, standard error, interval, per category, and against the blind baseline."""

import pandas as pd

from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.statistics import interval, mean, paired, standard_error

# Metric and largest possible score; the least is 0, and more is better, in every task.
METRICS = {"desk_caption": ("cider_d", 10.0)}
ACCURACY = ("accuracy", 1.0)
PLACES = 6  # decimal places that are kept


def summarise(answers: pd.DataFrame, versions: dict, params: Benchmark) -> dict:
    """Each task's numbers from rows of ANSWERS: {task: {metric, value, stderr, low, high, n, categories, blind, gain...}}.

    `low` and `high` bound the 95% interval; `gain` is the paired difference between with and without the picture.
    """
    return {
        str(task): _task(str(task), rows, versions[task], params) for task, rows in answers.groupby("task", sort=True)
    }


def _task(task: str, rows: pd.DataFrame, version: float, params: Benchmark) -> dict:
    metric, top = METRICS.get(task, ACCURACY)
    pictured, blind = rows[~rows["blind"]], rows[rows["blind"]]
    numbers = {"metric": metric, "higher_is_better": True, "version": version} | mean_numbers(pictured, top, params)
    numbers["categories"] = by_category(pictured, top, params)
    if len(blind):
        numbers["blind"] = mean_numbers(blind, top, params) | {"categories": by_category(blind, top, params)}
        scores, others = (part.set_index("uid")["score"] for part in (pictured, blind))
        gain = paired(scores, others, list(pictured["concept"]), params.resamples, params.seed)
        numbers["gain"] = {name: round(getattr(gain, name), PLACES) for name in ("value", "low", "high")}
    return numbers


def by_category(rows: pd.DataFrame, top: float, params: Benchmark) -> dict:
    """`mean_numbers` of each category."""
    return {str(name): mean_numbers(part, top, params) for name, part in rows.groupby("category", sort=True)}


def mean_numbers(rows: pd.DataFrame, top: float, params: Benchmark) -> dict:
    """Mean score of rows of ANSWERS with its error and interval; `top` is the largest possible score, 0 the least."""
    scores, concepts = list(rows["score"]), list(rows["concept"])
    low, high = interval(scores, concepts, params.resamples, params.seed, (0.0, top))
    stderr = standard_error(scores, concepts)
    return {
        "value": round(mean(scores), PLACES),
        "stderr": None if stderr != stderr else round(stderr, PLACES),  # NaN is no JSON
        "low": round(low, PLACES),
        "high": round(high, PLACES),
        "n": len(rows),
    }
