"""Figure of cluster shares (Synth2, figure 4): PNG bytes, deterministic, readable in black and white."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from synthpairs.core.plots import ACCENT, INK, MID, PALE, empty_figure, plot_style, png
from synthpairs.evaluation.diversity.clusters import TOP

# Marker, its fill, dashes and colour, by position in the list of sets; distinct without colour too.
LINES = (
    ("o", INK, "-", INK),
    ("s", "white", "--", ACCENT),
    ("D", MID, "-.", MID),
    ("^", "white", ":", INK),
    ("X", ACCENT, (0, (7, 2)), ACCENT),
    ("v", "white", (0, (1, 1, 5, 1)), MID),
    ("P", INK, (0, (3, 3)), INK),
    ("<", "white", (0, (9, 3, 1, 3)), ACCENT),
)
MARKER_SPACING = 0.12  # of the panel's diagonal


def shares_figure(results: dict[str, Any]) -> bytes:
    """A panel per k with the share of each set's captions in its clusters, largest first, from results of `measure_diversity`."""
    clusters, sets = results["clusters"], results["sets"]
    if not clusters:
        return empty_figure("too few captions for any number of clusters")
    columns = min(2, len(clusters))
    rows = -(-len(clusters) // columns)
    with plot_style():
        figure = Figure(figsize=(5.2 * columns, 2.7 * rows + 0.5), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False).flat)
        for k, axes in zip(clusters, panels, strict=False):
            _panel(axes, k, {name: sets[name]["by_clusters"][str(k)] for name in results["order"]})
        for axes in panels[len(clusters) :]:
            axes.axis("off")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=min(6, len(sets) + 1),
                      title=f"{results['captions_per_set']:,} captions of each set, mean of {results['runs']} runs",
                      alignment="center", handlelength=4)  # fmt: skip
        return png(figure)


def _panel(axes: Axes, k: int, sets: dict[str, dict[str, Any]]) -> None:
    for number, (name, measured) in enumerate(sets.items()):
        marker, fill, dashes, colour = LINES[number % len(LINES)]
        # Markers at equal distances along each line, shifted from line to line.
        spacing = (MARKER_SPACING * number / len(sets), MARKER_SPACING)
        axes.plot(range(1, k + 1), measured["shares"], marker, markevery=spacing, linestyle=dashes, color=colour,
                  markerfacecolor=fill, markeredgecolor=INK, markersize=5.5, linewidth=1.3, label=name)  # fmt: skip
    axes.axhline(1 / k, color=MID, linewidth=0.9, linestyle=(0, (1, 3)), label="all clusters alike")
    if k > TOP:
        axes.axvline(TOP, color=PALE, linewidth=1)
        axes.text(TOP, 1, f"top {TOP} ", transform=axes.get_xaxis_transform(), ha="right", va="top", color=MID)
    axes.set_title(f"k = {k}")
    axes.set_xlabel("cluster, largest first")
    axes.set_ylabel("share of the captions")
    axes.set_ylim(bottom=0)
    axes.set_xscale("log")  # the few large clusters are what sets differ in
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g}%")
    axes.grid(axis="y")
