"""First section of the page: what came out, in three sentences made of the numbers."""

from collections.abc import Sequence

import pandas as pd

from synthpairs.evaluation.statistics import NO_DIFFERENCE
from synthpairs.report.params import Report
from synthpairs.report.results import ArmResults, SynthVLMResults
from synthpairs.report.tables import bullets, estimate, listed, number

QUESTION = "**Are image-caption pairs generated from captions alone worth training a vision-language model on?**"
# Comparisons of arms that answer a question; the others are in the table only.
QUESTIONS = {
    ("selected", "random"): "*Does the selection help?*",
    ("selected", "real"): "*Are the selected pairs as good as real ones?*",
}


def summary(results: SynthVLMResults, against_blind: pd.DataFrame, compared: pd.DataFrame, params: Report) -> str:
    """Questions and answers, one a line: use of the image, differences between arms, uncertainty.

    The tables are those of `analysis.against_blind` and `analysis.differences`.
    """
    used = f"{image_use(against_blind, params.key_tasks)}{by_kind(results, params.key_tasks)}"
    answers = [f"*Do the trained models use the image?* {used}"]
    for (one, other), question in QUESTIONS.items():
        rows = compared[(compared["one"] == one) & (compared["other"] == other)]
        if len(rows):
            answers.append(f"{question} {comparison(one, other, rows, params.key_tasks)}")
    sizes = sorted({len(results.pairs[arm]) for arm in results.arms})
    if sizes:
        again = (
            "; where [several trainings of each arm](experiments/seeds.md) say something else, they are to be believed"
            if results.desk
            else ""
        )
        pairs = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        answers.append(
            f"*How certain is this?* Each arm is one training run with one seed, on {pairs} pairs of its own and the same "
            "instruction data. The 95% intervals cover the sampling of questions, not the variance between "
            f"trainings{again}."
        )
    else:
        answers.append("No arm was trained: `arms` is empty.")
    return f"{QUESTION} {_answer(compared)}\n\n{bullets(answers)}"


def _answer(compared: pd.DataFrame) -> str:
    """The answer to QUESTION, as far as the best pairs are compared with real ones."""
    rows = compared[(compared["one"] == "selected") & (compared["other"] == "real")]
    if rows.empty:
        return "Not answered here: `selected` and `real` are not both evaluated."
    return (
        f"A model trained on the best of them is {standing(rows, 'selected')} than one trained on real pairs. What pairs add "
        "to the instruction data is not measured: no arm has that alone."
    )


def standing(rows: pd.DataFrame, one: str) -> str:
    """Whether an arm is better or worse than another, by benchmark; `rows` are their differences."""
    shown = rows[rows["better"] != ""]
    better, worse = (list(shown["task"][(shown["better"] == one) == wins]) for wins in (True, False))
    parts = [f"{word} on {listed(tasks)}" for word, tasks in (("better", better), ("worse", worse)) if tasks]
    return " and ".join(parts) or "not shown to be better or worse"


def image_use(against_blind: pd.DataFrame, tasks: Sequence[str]) -> str:
    """Answer: is each arm better with the image than without it, on each key task that was evaluated?"""
    evaluated = [task for task in tasks if task in set(against_blind["task"])]
    if not evaluated:
        keys = ", ".join(tasks) or "`report.key_tasks` is empty"
        return f"Not evaluated: no arm has results on a key task ({keys})."
    missing = [task for task in tasks if task not in evaluated]
    note = f" Not evaluated: {listed(missing)}." if missing else ""
    failing = against_blind[~against_blind["clear"]]
    if failing.empty:
        return f"**Yes**, all of them on {listed(evaluated)}: intervals with and without it do not overlap.{note}"
    parts = [
        f"`{row['arm']}` on {row['task']} ({estimate(row)}, without the image {estimate(row, 'blind_')}, n = "
        f"{row['n']:,})"
        for row in failing.to_dict("records")
    ]
    return f"**Not shown for all**: {'; '.join(parts)}.{note}"


def by_kind(results: ArmResults, tasks: Sequence[str]) -> str:
    """Sentence on the kinds of question of the lowest and the highest value on each task, of the first arm; may be empty."""
    parts = []
    for task in tasks if results.arms else ():
        kinds = results.benchmarks[results.arms[0]].get(task, {}).get("categories", {})
        values = sorted((one["value"], kind) for kind, one in kinds.items())
        if values and values[0][0] < values[-1][0]:
            parts.append(
                f"{' to '.join(f'{number(value)} (*{kind}*)' for value, kind in (values[0], values[-1]))} on {task}"
            )
    return f" By kind of question `{results.arms[0]}` reaches {listed(parts)}." if parts else ""


def comparison(one: str, other: str, rows: pd.DataFrame, key_tasks: Sequence[str]) -> str:
    """Answer about two arms: benchmarks with a shown difference, how many others, and what those could have missed."""
    shown = [row for row in rows.to_dict("records") if row["better"]]
    parts = [
        f"**{'better' if row['better'] == one else 'worse'}** on {row['task']} ({estimate(row, signed=True)}, n = {row['n']:,})"
        for row in shown
    ]
    if others := len(rows) - len(shown):
        benchmarks = (
            f"the other {others}" if shown else f"any of {others} benchmarks" if others > 1 else rows["task"].iloc[0]
        )
        parts.append(f"{NO_DIFFERENCE} on {benchmarks}" if shown else f"**{NO_DIFFERENCE}** on {benchmarks}")
    unclear = [row for row in rows.to_dict("records") if row["task"] in key_tasks and not row["better"]]
    if missed := [f"{number(row['detectable'])} on {row['task']}" for row in unclear if row["detectable"] > 0]:
        parts.append(f"true differences of {listed(missed)} would be shown four times in five")
    if equal := [row["task"] for row in unclear if row["detectable"] == 0]:
        parts.append(f"both have the same mean score for every concept of {listed(equal)}")
    return f"`{one}` against `{other}`: {'; '.join(parts)}."
