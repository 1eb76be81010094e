"""Tables of the page, and how numbers are written in it."""

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from synthpairs.core.markdown import literal, markdown_table
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability
from synthpairs.report.results import ArmResults

FIGURES = "figures"  # folder next to the page


def number(value: float | None, signed: bool = False) -> str:
    """Three decimals; whole numbers without any, grouped by thousands; `-` for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """A 95% interval in brackets, after a space; empty for NaN."""
    return "" if math.isnan(low) else f" [{number(low, signed)}, {number(high, signed)}]"


def estimate(row: Any, prefix: str = "", signed: bool = False) -> str:
    """Value with its interval, of the keys value, low and high after `prefix`."""
    value, low, high = (row[f"{prefix}{name}"] for name in ("value", "low", "high"))
    return f"{number(value, signed)}{interval(low, high, signed)}"


def measure_text(name: str, higher_is_better: bool) -> str:
    """Name of a measure, and its direction where lower is better."""
    return name if higher_is_better else f"{name}, lower is better"


def figure_link(name: str, description: str) -> str:
    """A figure of the page with its alternative text."""
    return f"![{description}]({FIGURES}/{name})"


def folded(title: str, content: str) -> str:
    """Content that opens on a click."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def bullets(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def listed(names: Iterable[str]) -> str:
    """At least one name, as in "a, b and c"."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def values_table(results: ArmResults) -> str:
    """Tasks by arms: value and interval, and in the last column the first arm's value without the image."""
    rows = [[*head, *map(estimate, by_arm), number(by_arm[0]["blind_value"])] for head, by_arm in _by_task(results)]
    blind_arm = f"{results.evaluated[0]} without the image"
    return markdown_table(["task", "measure", "n", *results.evaluated, blind_arm], rows, words=range(2)) if rows else ""


def arms_table(results: ArmResults) -> str:
    """Tasks by arms: value and interval, without the image below it, and the best fixed answer."""
    rows = []
    for (task, *head), by_arm in _by_task(results):
        values = [f"**{number(row['value'])}**{interval(row['low'], row['high'])}" for row in by_arm]
        rows.append([f"**{task}**", *head, *values])
        if not all(math.isnan(row["blind_value"]) for row in by_arm):
            rows.append(["", "without the image", "", *(estimate(row, "blind_") for row in by_arm)])
        if task in results.fixed_answers:
            rows.append(["", "best fixed answer", "", *[number(results.fixed_answers[task])] * len(by_arm)])
    return markdown_table(["task", "measure", "n", *results.evaluated], rows, words=range(2))


def _by_task(results: ArmResults) -> Iterable[tuple[list[str], list[dict[str, Any]]]]:
    """Name, measure and n of each task, and its results by arm."""
    for task, group in results.results.groupby("task", sort=True):
        by_arm = group.set_index("arm").loc[list(results.evaluated)].to_dict("records")
        first = by_arm[0]
        yield [str(task), measure_text(first["metric"], first["higher_is_better"]), f"{first['n']:,}"], by_arm


def differences_table(differences: pd.DataFrame) -> str:
    """Paired differences of arms, with the columns of `analysis.differences`."""
    rows = [
        [
            row["task"],
            f"{row['one']} - {row['other']}",
            f"{row['n']:,}",
            estimate(row, signed=True),
            probability(row["p"]),
            number(row["detectable"]),
            f"{row['better']} is better" if row["better"] else NO_DIFFERENCE,
        ]
        for row in differences.to_dict("records")
    ]
    return markdown_table(
        ["task", "arms", "n", "paired difference, interval uncorrected", "p", "detectable", "verdict"], rows
    )


def counts_table(counts: pd.DataFrame, first: str) -> str:
    """Counts by source with their sum; `first` heads the column of row names."""
    rows = [[name, *(number(int(count)) for count in (*row, row.sum()))] for name, row in counts.iterrows()]
    return markdown_table([first, *map(literal, counts.columns), "all"], rows, words=[0])


def rejected_table(rejections: pd.DataFrame, rejected: pd.DataFrame) -> str:
    """Counts of each reason by source, with one example (of the smallest uid) and the detail of its rejection."""
    rows = []
    for reason, counts in rejections.iterrows():
        example = rejected[rejected["reason"] == reason].sort_values("uid").iloc[0]
        cells = [number(int(count)) for count in (*counts, counts.sum())]
        rows.append([literal(str(reason)), *cells, literal(example["text"]), literal(str(example["detail"]))])
    return markdown_table(["reason", *map(literal, rejections.columns), "all", "an example", "detail"], rows)


def nested_table(groups: dict[str, Any], first: str) -> str:
    """Nested numbers: each mapping that holds numbers is a row, their names are the columns."""
    rows = dict(sorted(_leaves(groups)))
    columns = list(dict.fromkeys(name for values in rows.values() for name in values))
    cells = [[literal(name), *(number(values.get(column)) for column in columns)] for name, values in rows.items()]
    return markdown_table([first, *map(literal, columns)], cells, words=[0])


def categories_table(results: ArmResults) -> str:
    """Tasks by arms for each kind of question."""
    rows = []
    for task, numbers in sorted(results.benchmarks[results.evaluated[0]].items()):
        for category, first in sorted(numbers.get("categories", {}).items()):
            cells = [estimate(by_task[task]["categories"][category]) for by_task in results.benchmarks.values()]
            rows.append([task, literal(category), f"{first['n']:,}", *cells])
    return markdown_table(["task", "kind", "n", *results.evaluated], rows, words=range(2))


def yes_no_table(measures: pd.DataFrame) -> str:
    """Answers of yes or no, with the columns of `analysis.yes_no_measures`; empty where no task has them."""
    if measures.empty:
        return ""
    rows = [[task, arm, *map(number, numbers)] for task, arm, *numbers in measures.itertuples(index=False)]
    return folded("Answers of yes or no", markdown_table(list(measures.columns), rows, words=range(2)))


def trainings_table(results: ArmResults) -> str:
    """Metrics of each training stage, one row per number, by arm."""
    rows = []
    for stage, by_arm in results.trainings.items():
        names = sorted({name for metrics in by_arm.values() for name, value in metrics.items() if _is_number(value)})
        rows += [[stage, literal(name), *(number(by_arm[arm].get(name)) for arm in results.arms)] for name in names]
    note = "Losses are means over the first and the last tenth of the steps. 0 steps: the projector was fitted in closed form."
    return f"{markdown_table(['stage', 'measure', *results.arms], rows, words=range(2))}\n\n{note}"


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, dict[str, float]]]:
    numbers = {str(name): item for name, item in value.items() if _is_number(item)}
    if numbers:
        yield prefix.strip() or "all", numbers
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{prefix} {name}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
