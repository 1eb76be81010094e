"""A study's plot: PNG bytes, equal for equal results, readable in black and white."""

from typing import Any

from matplotlib.figure import Figure

from synthpairs.plots import ACCENT, INK, MID, plot_style, png

COLUMNS = 2  # of panels, at most


def study_figure(results: dict[str, Any]) -> bytes:
    """A panel per task: of each set the mean with its 95% interval over items, and every seed's own value below it.

    `results` as `results.study_results` gives them.
    """
    names, tasks = results["sets"], list(results["tasks"])
    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    with plot_style():
        figure = Figure(figsize=(7.6, (0.75 + 0.34 * len(names)) * rows), layout="constrained")
        panels = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
        for task, axes in zip(tasks, panels, strict=False):
            told = results["tasks"][task]
            for place, name in enumerate(names):
                row = told["sets"][name]
                axes.plot([row["low"], row["high"]], [place, place], color=INK, linewidth=1.6, solid_capstyle="butt")
                fill = ACCENT if place == 0 else "white"
                axes.plot(row["value"], place, "o", markerfacecolor=fill, markeredgecolor=INK, markersize=7)
                axes.plot(row["seeds"], [place + 0.28] * len(row["seeds"]), "|", color=MID, markersize=7)
            axes.axvline(told["sets"][names[0]]["value"], color=MID, linewidth=0.8, linestyle=":")
            axes.set_title(f"{task} ({told['measure']}, n = {told['n']:,})")
            axes.set_yticks(range(len(names)), names)
            axes.grid(axis="x")
        for axes in panels[len(tasks) :]:
            axes.axis("off")
        panels[0].invert_yaxis()
        figure.supxlabel("dot: mean of the seeds; line: 95% interval over items; ticks below: the seeds", fontsize=9)
        return png(figure)
