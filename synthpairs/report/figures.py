"""Figures of the page as PNG bytes: equal for equal data, readable in black and white (by shape and hatching)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from synthpairs.core.plots import ACCENT, ACCENT_PALE, INK, MID, PALE, plot_style, png

# By index of the arm; distinct without colour, too.
MARKERS = (("o", ACCENT), ("s", "white"), ("D", MID), ("X", INK), ("^", "white"), ("v", MID))
HATCHES = ("", "////", "....", "xxxx")
FILLS = (ACCENT_PALE, "white", PALE, "white")
MANY_CONCEPTS = 64  # bars that fit in the figure


def arms_figure(results: pd.DataFrame, fixed: dict[str, float]) -> bytes:
    """One panel per task: value and interval per arm, and below in thin lines those without the image.

    `results` as from `results.results_table`; `fixed` has the score of the best fixed answer by task, where there is one.
    """
    tasks, arms = list(dict.fromkeys(results["task"])), list(dict.fromkeys(results["arm"]))
    columns = min(3, len(tasks))
    rows = -(-len(tasks) // columns)
    handles = [
        Line2D([], [], marker="o", color=INK, linewidth=1.6, markersize=7, label="value and 95% interval"),
        Line2D([], [], marker="|", color=MID, linewidth=1, markersize=9, label="without the image"),
    ]
    if fixed:
        handles.append(Line2D([], [], color=INK, linewidth=1, linestyle=":", label="best fixed answer"))
    across = min(len(handles), 2 * columns - 1)
    height = (0.65 + 0.36 * len(arms)) * rows + 0.3 * -(-len(handles) // across) + 0.15
    with plot_style():
        layout = ConstrainedLayoutEngine(h_pad=0.09)
        figure = Figure(figsize=(3.5 * columns, height), layout=layout)
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for task, axes in zip(tasks, panels, strict=False):
            _arms_panel(axes, results[results["task"] == task], arms, fixed.get(task))
        for axes in panels[len(tasks) :]:
            axes.axis("off")
        figure.legend(handles=handles, loc="outside upper center", ncols=across)
        return png(figure)


def _arms_panel(axes: Axes, rows: pd.DataFrame, arms: Sequence[str], fixed: float | None) -> None:
    if fixed is not None:
        axes.axvline(fixed, color=INK, linewidth=1, linestyle=":")
    for number, arm in enumerate(arms):
        marker, fill = MARKERS[number % len(MARKERS)]
        for row in rows[rows["arm"] == arm].to_dict("records"):
            axes.plot([row["low"], row["high"]], [number, number], color=INK, linewidth=1.6, solid_capstyle="butt")
            axes.plot(row["value"], number, marker, markerfacecolor=fill, markeredgecolor=INK, markersize=8)
            if not np.isnan(row["blind_value"]):
                below = number + 0.3
                axes.plot([row["blind_low"], row["blind_high"]], [below, below], color=MID, linewidth=1)
                axes.plot(row["blind_value"], below, "|", color=MID, markersize=8)
    first = rows.iloc[0]
    arrow = "higher is better" if first["higher_is_better"] else "lower is better"
    axes.set_title(f"{first['task']}  (n = {first['n']})")
    axes.set_xlabel(f"{first['metric']}, {arrow}")
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.3, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def funnel_figure(counts: pd.DataFrame, rejections: pd.DataFrame) -> bytes:
    """Left the count at each step, right the rejections by reason; rows are steps or reasons, columns sources."""
    with plot_style():
        figure = Figure(figsize=(10.5, 1.3 + 0.28 * max(len(counts), len(rejections))), layout="constrained")
        steps, reasons = figure.subplots(1, 2)
        _stacked(steps, counts)
        steps.set_title("What reaches each step")
        _stacked(reasons, rejections)
        reasons.set_title("Why captions were rejected")
        figure.legend(*steps.get_legend_handles_labels(), loc="outside upper center", ncols=len(counts.columns),
                      title="captions by source", alignment="center")  # fmt: skip
        return png(figure)


def _stacked(axes: Axes, table: pd.DataFrame) -> None:
    left = np.zeros(len(table))
    for number, source in enumerate(table.columns):
        values = table[source].to_numpy(dtype=float)
        axes.barh(range(len(table)), values, left=left, height=0.66, label=source, edgecolor=INK, linewidth=0.7,
                  color=FILLS[number % len(FILLS)], hatch=HATCHES[number % len(HATCHES)])  # fmt: skip
        left = left + values
    for index, total in enumerate(left):
        axes.text(total, index, f"  {total:,.0f}", va="center")
    axes.set_yticks(range(len(table)), list(table.index))
    axes.set_ylim(len(table) - 0.4, -0.6)
    axes.set_xlim(0, max(1.0, left.max(initial=0.0)) * 1.12)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")


def histograms_figure(scores: pd.DataFrame, selected: pd.DataFrame, names: dict[str, str]) -> bytes:
    """One histogram per score, of all candidates and of the selected ones; `names` maps columns to axis labels."""
    with plot_style():
        figure = Figure(figsize=(10.5, 3.2), layout="constrained")
        for axes, (column, name) in zip(figure.subplots(1, len(names)), names.items(), strict=True):
            edges = np.histogram_bin_edges(scores[column].dropna(), bins=40)
            axes.hist(scores[column], edges, color="white", edgecolor=INK, histtype="stepfilled", linewidth=1.1,
                      label=f"all candidates (n = {len(scores):,})")  # fmt: skip
            axes.hist(selected[column], edges, color=ACCENT_PALE, edgecolor=ACCENT, histtype="stepfilled", hatch="////",
                      label=f"selected (n = {len(selected):,})")  # fmt: skip
            axes.set_xlabel(name)
            axes.set_ylabel("images")
            axes.grid(axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return png(figure)


def scatter_figure(scores: pd.DataFrame, selected: pd.DataFrame, names: dict[str, str]) -> bytes:
    """Scatter plot of the first two scores of every candidate; crosses are selected."""
    (x, x_name), (y, y_name), *_ = names.items()
    with plot_style():
        figure = Figure(figsize=(6.2, 4.6), layout="constrained")
        axes = figure.subplots()
        small = 3.5 if len(scores) <= 5000 else 1.0
        left = scores[~scores["key"].isin(selected["key"])]
        axes.plot(left[x], left[y], "o", markersize=small, markerfacecolor="white", markeredgecolor=MID,
                  markeredgewidth=0.6, label="not selected")  # fmt: skip
        axes.plot(selected[x], selected[y], "x", markersize=small + 0.5, color=ACCENT, label="selected")
        axes.set_xlabel(x_name)
        axes.set_ylabel(y_name)
        axes.grid()
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, markerscale=1.6)
        return png(figure)


def concepts_figure(concepts: pd.DataFrame, label: str) -> bytes:
    """Mean and 95% interval per concept; `concepts` has `mean`, `margin`, one row per concept, lowest mean first.

    Of more than MANY_CONCEPTS only the lowest and the highest are drawn.
    """
    half = MANY_CONCEPTS // 2
    cut = len(concepts) > MANY_CONCEPTS
    shown = pd.concat([concepts.head(half), concepts.tail(half)]) if cut else concepts
    with plot_style():
        figure = Figure(figsize=(10.5, 3.4), layout="constrained")
        axes = figure.subplots()
        positions = range(len(shown))
        axes.bar(positions, shown["mean"], width=0.75, color=ACCENT_PALE, edgecolor=INK, linewidth=0.5,
                 yerr=shown["margin"], ecolor=INK, error_kw={"linewidth": 0.9})  # fmt: skip
        axes.set_xticks(positions, [str(name) for name in shown.index], rotation=90, fontsize=8)
        axes.set_xlim(-0.7, len(shown) - 0.3)
        axes.set_ylabel(label)
        axes.set_title(f"The lowest and the highest {half} of {len(concepts):,} concepts" if cut else "")
        axes.grid(axis="y")
        return png(figure)
