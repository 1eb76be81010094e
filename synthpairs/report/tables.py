"""The page's tables, the numbers in them, pictures as links; text that strangers wrote is shown, never interpreted."""

import math
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from synthpairs.core.markdown import markdown_table
from synthpairs.evaluation.statistics import NO_DIFFERENCE, probability
from synthpairs.report.inputs import Comparison

FIGURES = "figures"  # folder beside the page
EXAMPLE_LENGTH = 80  # characters of a caption in a table
# Whatever Markdown or HTML would act on, links that a host makes of bare addresses included.
_ACTIVE = re.compile(r"[\\`*_{}\[\]<>|&~$#@:!]|\.(?=\w)")


def literal(text: str, limit: int = EXAMPLE_LENGTH) -> str:
    """Text as a table cell can hold it: one line, invisible characters named, nothing to act on, cut at `limit`."""
    shown = "".join(
        " " if char.isspace() else char if char.isprintable() else f"<U+{ord(char):04X}>" for char in text[: limit + 1]
    )
    cut = f"{shown[:limit].rstrip()} ... ({len(text):,} characters)" if len(text) > limit else shown
    return _ACTIVE.sub(r"\\\g<0>", cut.strip()) or "(nothing)"


def number(value: float | None, signed: bool = False) -> str:
    """Three decimals; whole numbers without any, grouped by thousands; `-` for none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:+.3f}" if signed else f"{value:.3f}"


def interval(low: float, high: float, signed: bool = False) -> str:
    """A 95% interval in brackets; nothing for none."""
    return "" if math.isnan(low) else f" [{number(low, signed)}, {number(high, signed)}]"


def image(name: str, told: str) -> str:
    """A picture of the page's own; `told` is for those who do not see it."""
    return f"![{told}]({FIGURES}/{name})"


def folded(title: str, content: str) -> str:
    """Content that opens on a click."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"


def arms_table(inputs: Comparison) -> str:
    """Tasks by arms: value and interval, and the same arm asked without the picture below it."""
    rows = []
    for task, found in inputs.results.groupby("task", sort=True):
        by_arm = found.set_index("arm")
        first = found.iloc[0]
        arrow = "" if first["higher_is_better"] else ", lower is better"
        cells, blind = [], []
        for arm in inputs.tested:
            row = by_arm.loc[arm]
            cells.append(f"**{number(row['value'])}**{interval(row['low'], row['high'])}")
            blind.append(f"{number(row['blind_value'])}{interval(row['blind_low'], row['blind_high'])}")
        rows.append([f"**{task}**", f"{first['metric']}{arrow}", f"{first['n']:,}", *cells])
        if found["blind_value"].notna().any():
            rows.append(["", "without the picture", "", *blind])
        if task in inputs.fixed_answers:
            rows.append(["", "best fixed answer", "", *[number(inputs.fixed_answers[task])] * len(cells)])
    return markdown_table(["task", "measure", "n", *inputs.tested], rows, words=range(2))


def differences_table(differences: pd.DataFrame) -> str:
    """Every two arms on every task, answer by answer; differences with the columns of `findings.differences`."""
    rows = [
        [
            row["task"],
            f"{row['one']} - {row['other']}",
            f"{row['n']:,}",
            f"{number(row['value'], True)}{interval(row['low'], row['high'], True)}",
            probability(row["p"]),
            number(row["detectable"]),
            f"{row['better']} is better" if row["better"] else NO_DIFFERENCE,
        ]
        for row in differences.to_dict("records")
    ]
    return markdown_table(["task", "arms", "n", "paired difference", "p", "detectable", "verdict"], rows)


def counts_table(counts: pd.DataFrame, first: str) -> str:
    """Counts by source with their sum; `first` heads the column of row names."""
    rows = [[name, *(number(int(count)) for count in (*row, row.sum()))] for name, row in counts.iterrows()]
    return markdown_table([first, *map(literal, counts.columns), "all"], rows, words=[0])


def rejected_table(rejections: pd.DataFrame, rejected: pd.DataFrame) -> str:
    """What each filter rejected: counts by source, one example (of the smallest uid) and what was wrong with it."""
    rows = []
    for reason, counts in rejections.iterrows():
        example = rejected[rejected["reason"] == reason].sort_values("uid").iloc[0]
        cells = [number(int(count)) for count in (*counts, counts.sum())]
        rows.append([literal(str(reason)), *cells, literal(example["text"]), literal(str(example["detail"]))])
    return markdown_table(["filter", *map(literal, rejections.columns), "all", "an example", "what was wrong"], rows)


def nested_table(groups: dict[str, Any], first: str) -> str:
    """Nested numbers: each mapping that holds numbers is a row, their names are the columns."""
    rows = dict(sorted(_leaves(groups)))
    columns = list(dict.fromkeys(name for values in rows.values() for name in values))
    cells = [[literal(name), *(number(values.get(column)) for column in columns)] for name, values in rows.items()]
    return markdown_table([first, *map(literal, columns)], cells, words=[0])


def categories_table(inputs: Comparison) -> str:
    """Tasks by arms again, for each kind of question."""
    rows = []
    for task, numbers in sorted(inputs.benchmarks[inputs.tested[0]].items()):
        for category, own in sorted(numbers.get("categories", {}).items()):
            cells = []
            for arm in inputs.tested:
                found = inputs.benchmarks[arm][task]["categories"][category]
                cells.append(f"{number(found['value'])}{interval(found['low'], found['high'])}")
            rows.append([task, literal(category), f"{own['n']:,}", *cells])
    return markdown_table(["task", "kind", "n", *inputs.tested], rows, words=range(2))


def trainings_table(inputs: Comparison) -> str:
    """What each training reported, one row per number, arms beside each other."""
    rows = []
    for stage, by_arm in inputs.trainings.items():
        names = sorted({name for metrics in by_arm.values() for name, value in metrics.items() if _is_number(value)})
        rows += [[stage, literal(name), *(number(by_arm[arm].get(name)) for arm in inputs.arms)] for name in names]
    return markdown_table(["stage", "measure", *inputs.arms], rows, words=range(2))


def _leaves(value: dict[str, Any], prefix: str = "") -> Iterable[tuple[str, dict[str, float]]]:
    own = {str(name): item for name, item in value.items() if _is_number(item)}
    if own:
        yield prefix.strip() or "all", own
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(item, f"{prefix} {name}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
