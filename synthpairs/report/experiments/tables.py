"""Verdicts and tables of experiments, from the results of `experiments.results.compare`."""

from collections.abc import Callable
from typing import Any

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import LEVEL, NO_DIFFERENCE, POWER, probability
from synthpairs.experiments.results import GAP

Convert = Callable[[float], float]  # of the measure to the number shown, such as of a loss to a perplexity
RULE = (
    f"A difference is shown if p, Holm-corrected, is below {1 - LEVEL:.2f}. Its interval, p and *detectable*, the smallest true "
    f"difference that is shown with a power of {POWER:.0%} after the correction if it is the only one, cover the items, "
    "clustered by concept, and the trainings, that is the seeds. Intervals of single values cover items alone."
)


def verdict(results: dict[str, Any]) -> str:
    """Sentence on the sets that differ from the first, with the tasks, and on those that do not."""
    sentences = []
    for name in results["sets"][1:]:
        rows = {task: numbers["differences"][name] for task, numbers in results["tasks"].items()}
        parts = [f"{_word(task, row)} on {task} ({_difference(row)})" for task, row in rows.items() if row["shown"]]
        sentences.append(f"`{name}` is {', '.join(parts)}" if parts else f"`{name}`: {NO_DIFFERENCE}")
    return f"Against `{results['sets'][0]}`: {'; '.join(sentences)}."


def values_table(results: dict[str, Any]) -> str:
    """Every set's value on every task, and facts about the sets' pairs where `results` has them."""
    sets = results["sets"]
    rows = [
        [task, numbers["measure"], f"{numbers['n']:,}", *(value_text(numbers["sets"][name]) for name in sets)]
        for task, numbers in results["tasks"].items()
    ]
    for fact, form in (("concepts", "d"), ("clip_cosine", ".3f")) if "pairs" in results else ():
        values = [[seed[fact] for seed in results["pairs"][name]] for name in sets]
        ranges = [" to ".join(sorted({f"{min(part):{form}}", f"{max(part):{form}}"})) for part in values]
        rows.append(["the pairs", fact.replace("_", " "), "", *ranges])
    return markdown_table(["task", "measure", "n", *sets], rows, words=range(2))


def differences_table(results: dict[str, Any]) -> str:
    """Every set's difference to the first, with the values by seed."""
    rows = [
        [task, f"{name} - {results['sets'][0]}", _difference(row), seeds_text(row, "+.3f"), probability(row["p"]),
         f"{row['detectable']:.3f}", _word(task, row) if row["shown"] else NO_DIFFERENCE]
        for task, numbers in results["tasks"].items()
        for name in results["sets"][1:] for row in [numbers["differences"][name]]
    ]  # fmt: skip
    head = ["task", "sets", "difference", "by seed", "p", "detectable", "verdict"]
    return markdown_table(head, rows, words=(0, 1, 6))


def value_text(row: dict[str, Any], form: str = ".3f", convert: Convert = float) -> str:
    """Mean with its interval and the values by seed."""
    seeds = seeds_text(row, form, convert)
    return f"**{convert(row['value']):{form}}** {interval_text(row, form, convert)} ({seeds})"


def interval_text(row: dict[str, Any], form: str, convert: Convert = float) -> str:
    """[low, high]."""
    return f"[{convert(row['low']):{form}}, {convert(row['high']):{form}}]"


def seeds_text(row: dict[str, Any], form: str, convert: Convert = float) -> str:
    """Values by seed; a single one where all are equal."""
    values = [f"{convert(value):{form}}" for value in row["seeds"]]
    return f"all {values[0]}" if len(set(values)) == 1 else ", ".join(values)


def _difference(row: dict[str, Any]) -> str:
    return f"{row['value']:+.3f} {interval_text(row, '+.3f')}"


def _word(task: str, row: dict[str, Any]) -> str:
    return "better" if (row["value"] > 0) != (task == GAP) else "worse"
