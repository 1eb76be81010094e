"""First section of the page: the questions and their answers, generated from the numbers."""

from collections.abc import Sequence

import pandas as pd

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.params import Report
from synthpairs.report.results import SynthVLMResults
from synthpairs.report.tables import bullets, estimate, listed, number

QUESTION = "**Are image-caption pairs generated from captions alone worth training a vision-language model on?**"
# Comparisons of arms that answer a question; the others are in the table only.
QUESTIONS = {
    ("selected", "random"): "*Does selecting pairs by score help?*",
    ("selected", "real"): "*Are the selected pairs as good as real ones?*",
}


def summary(results: SynthVLMResults, against_blind: pd.DataFrame, compared: pd.DataFrame, params: Report) -> str:
    """Questions and answers, one a line: use of the image, differences between arms, uncertainty.

    The tables are those of `analysis.against_blind` and `analysis.differences`.
    """
    answers = [image_use(against_blind, params.key_tasks)]
    for (one, other), question in QUESTIONS.items():
        rows = compared[(compared["one"] == one) & (compared["other"] == other)]
        if len(rows):
            answers.append(f"{question} {comparison(one, other, rows, params.key_tasks)}")
    sizes = sorted({len(results.pairs[arm]) for arm in results.arms})
    if sizes:
        pairs = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        answers.append(
            f"*How certain is this?* Each arm is one training run with one seed: {pairs} pairs of its own, then the "
            "same instruction data for all arms, so arms differ in their pairs only. The 95% intervals "
            "cover the sampling of questions, not the variance between training runs; results over several seeds "
            "follow below."
        )
    else:
        answers.append("No arm was trained: `arms` is empty.")
    return f"{QUESTION}\n\n{bullets(answers)}"


def image_use(against_blind: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Question and answer: does each arm answer better with the image, on each key task that was evaluated?"""
    question = "*Do the trained models use the image?*"
    evaluated = [task for task in tasks if task in set(against_blind["task"])]
    if not evaluated:
        keys = ", ".join(tasks) or "`report.key_tasks` is empty"
        return f"{question} Not evaluated: no arm has results on a key task ({keys})."
    missing = [task for task in tasks if task not in evaluated]
    note = f" Not evaluated: {listed(missing)}." if missing else ""
    failing = against_blind[~against_blind["clear"]]
    if failing.empty:
        parts = []
        for task in evaluated:
            rows = against_blind[against_blind["task"] == task]
            values = ", ".join(f"{row['arm']} {number(row['value'])}" for row in rows.to_dict("records"))
            blind = ", ".join(map(number, rows["blind_value"]))
            parts.append(f"{task}, n = {rows['n'].iloc[0]:,}: {values}; without the image {blind}")
        arms = listed(f"`{arm}`" for arm in dict.fromkeys(against_blind["arm"]))
        return (
            f"{question} Yes: with the image, {arms} score higher than without it, and the intervals do not overlap "
            f"({'; '.join(parts)}).{note}"
        )
    parts = [
        f"`{row['arm']}` on {row['task']} ({estimate(row)}, without the image {estimate(row, 'blind_')}, n = "
        f"{row['n']:,})"
        for row in failing.to_dict("records")
    ]
    return (
        f"{question} Not shown for every arm: in {len(failing)} of {len(against_blind)} comparisons with and without "
        f"the image the intervals overlap or the result is worse: {'; '.join(parts)}.{note}"
    )


def comparison(one: str, other: str, rows: pd.DataFrame, key_tasks: Sequence[str]) -> str:
    """Answer about two arms: key tasks with their numbers, other tasks by name."""
    records = rows.assign(verdict=[_verdict(one, better) for better in rows["better"]]).to_dict("records")
    parts = [
        f"{row['verdict']} on {row['task']} ({estimate(row, signed=True)}, n = {row['n']:,})"
        for task in key_tasks
        for row in records
        if row["task"] == task
    ]
    others: dict[str, list[str]] = {}
    for row in records:
        if row["task"] not in key_tasks:
            others.setdefault(row["verdict"], []).append(row["task"])
    parts += [f"{verdict} on {listed(tasks)}" for verdict, tasks in others.items()]
    return f"`{one}` against `{other}`: {'; '.join(parts)}."


def _verdict(one: str, better: str) -> str:
    if not better:
        return NO_DIFFERENCE
    return "better" if better == one else "worse"
