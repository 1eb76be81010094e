"""Benchmark numbers of one arm from its answers: value, standard error, interval, categories, gain over blind."""

import pandas as pd

from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.statistics import interval, mean, paired, standard_error

# Metric and largest possible score; in every task the least is 0 and more is better.
METRICS = {"desk_caption": ("cider_d", 10.0)}
ACCURACY = ("accuracy", 1.0)
DECIMALS = 6


def summarise(answers: pd.DataFrame, versions: dict, params: Benchmark) -> dict:
    """{task: {metric, value, stderr, low, high, n, categories, blind, gain...}} from rows of ANSWERS.

    `low` and `high` bound the 95% interval; `gain` is the paired difference between answers with and without the image.
    """
    return {
        str(task): _task(str(task), rows, versions[task], params) for task, rows in answers.groupby("task", sort=True)
    }


def _task(task: str, rows: pd.DataFrame, version: float, params: Benchmark) -> dict:
    metric, top = METRICS.get(task, ACCURACY)
    with_image, blind = rows[~rows["blind"]], rows[rows["blind"]]
    numbers = {"metric": metric, "higher_is_better": True, "version": version} | mean_numbers(with_image, top, params)
    numbers["categories"] = by_category(with_image, top, params)
    if len(blind):
        numbers["blind"] = mean_numbers(blind, top, params) | {"categories": by_category(blind, top, params)}
        scores, others = (part.set_index("uid")["score"] for part in (with_image, blind))
        gain = paired(scores, others, list(with_image["concept"]), params.resamples, params.seed)
        numbers["gain"] = {name: round(getattr(gain, name), DECIMALS) for name in ("value", "low", "high")}
    return numbers


def by_category(rows: pd.DataFrame, top: float, params: Benchmark) -> dict:
    """`mean_numbers` of each category."""
    return {str(name): mean_numbers(part, top, params) for name, part in rows.groupby("category", sort=True)}


def mean_numbers(rows: pd.DataFrame, top: float, params: Benchmark) -> dict:
    """Mean score of rows of ANSWERS, its standard error and interval; scores range from 0 to `top`."""
    scores, concepts = list(rows["score"]), list(rows["concept"])
    low, high = interval(scores, concepts, params.resamples, params.seed, (0.0, top))
    stderr = standard_error(scores, concepts)
    return {
        "value": round(mean(scores), DECIMALS),
        "stderr": None if stderr != stderr else round(stderr, DECIMALS),  # JSON has no NaN
        "low": round(low, DECIMALS),
        "high": round(high, DECIMALS),
        "n": len(rows),
    }
