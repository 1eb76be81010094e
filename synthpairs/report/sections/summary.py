"""What stands first: the questions and their measured answers, made of the numbers alone."""

from collections.abc import Iterable, Sequence

import pandas as pd

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.inputs import Inputs
from synthpairs.report.params import Report
from synthpairs.report.tables import interval, number

QUESTION = "**Are image-caption pairs made out of captions alone worth training a vision-language model on?**"
SIGHT = "*Do the trained models use what they see?*"
# What it means that these two arms are compared; other couples are in the table only.
CONTESTS = {
    ("selected", "random"): "*Does it pay to pick the pairs by their scores?*",
    ("selected", "real"): "*Are the picked pairs as good as real ones?*",
}


def summary(inputs: Inputs, judged: pd.DataFrame, compared: pd.DataFrame, params: Report) -> str:
    """A question and its answers, one a line: do the arms see, do they differ, and how far that can be trusted.

    `judged` as from `findings.against_blind`, `compared` as from `findings.differences`.
    """
    answers = [f"{SIGHT} {sight(judged, params.key_tasks)}"]
    for (one, other), question in CONTESTS.items():
        rows = compared[(compared["one"] == one) & (compared["other"] == other)]
        if len(rows):
            answers.append(f"{question} {contest(one, other, rows, params.key_tasks)}")
    sizes = sorted({len(inputs.pairs[arm]) for arm in inputs.arms})
    if not sizes:
        return f"{QUESTION}\n\n{bullets([*answers, 'No arm was trained: `arms` is empty.'])}"
    pairs = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    answers.append(
        f"*How sure is that?* Each arm is one training run with one seed: {pairs} pairs of its own, then the same "
        "instruction data for all, so it is the differences between arms that tell the pairs apart. The 95% intervals "
        "cover which questions were asked, not how a training happened to go: what other seeds say stands next."
    )
    return f"{QUESTION}\n\n{bullets(answers)}"


def bullets(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def sight(judged: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Whether each arm beats its blind self on each key task that was asked."""
    asked = [task for task in tasks if task in set(judged["task"])]
    if not asked:
        return f"Not asked: no arm answered any of the key tasks ({', '.join(tasks) or '`report.key_tasks` is empty'})."
    failing = judged[~judged["clear"]]
    others = [task for task in tasks if task not in asked]
    unasked = f" Not asked: {listed(others)}." if others else ""
    if failing.empty:
        told = []
        for task in asked:
            rows = judged[judged["task"] == task]
            values = ", ".join(f"{row['arm']} {number(row['value'])}" for row in rows.to_dict("records"))
            blind = ", ".join(map(number, rows["blind_value"]))
            told.append(f"{task}, n = {rows['n'].iloc[0]:,}: {values} against {blind} blind")
        arms = listed(f"`{arm}`" for arm in dict.fromkeys(judged["arm"]))
        return (
            f"Yes: with the picture {arms} answer better than without it, by intervals that do not touch "
            f"({'; '.join(told)}).{unasked}"
        )
    told = [
        f"`{row['arm']}` on {row['task']} ({number(row['value'])}{interval(row['low'], row['high'])}, "
        f"blind {number(row['blind_value'])}{interval(row['blind_low'], row['blind_high'])}, n = {row['n']:,})"
        for row in failing.to_dict("records")
    ]
    return (
        f"Not shown for every arm: {len(failing)} of {len(judged)} comparisons with the same model asked blind have "
        f"intervals that touch, or come out worse: {'; '.join(told)}.{unasked}"
    )


def contest(one: str, other: str, rows: pd.DataFrame, key_tasks: Sequence[str]) -> str:
    """How two arms compare: key tasks with their numbers, the others by name."""
    key = [row for task in key_tasks for row in rows[rows["task"] == task].to_dict("records")]
    told = [
        f"{_verdict(one, row)} on {row['task']} ({number(row['value'], True)}"
        f"{interval(row['low'], row['high'], True)}, n = {row['n']:,})"
        for row in key
    ]
    verdicts: dict[str, list[str]] = {}
    for row in rows[~rows["task"].isin(key_tasks)].to_dict("records"):
        verdicts.setdefault(_verdict(one, row), []).append(row["task"])
    told += [f"{verdict} on {listed(tasks)}" for verdict, tasks in verdicts.items()]
    return f"`{one}` against `{other}`: {'; '.join(told)}."


def _verdict(one: str, row: dict) -> str:
    if not row["better"]:
        return NO_DIFFERENCE
    return "better" if row["better"] == one else "worse"


def listed(names: Iterable[str]) -> str:
    """Names as a sentence lists them, at least one."""
    *most, last = list(names)
    return f"{', '.join(most)} and {last}" if most else last
