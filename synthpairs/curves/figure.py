"""The plot of the learning curves: PNG bytes, equal for equal results, readable in black and white (Synth2, figure 5)."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from synthpairs.curves.params import BASELINE, MIXED
from synthpairs.plots import ACCENT, ACCENT_PALE, INK, MID, PALE, plot_style, png

# Line, marker, its fill, colour of the band and its hatching: the arms differ without colour too.
LOOKS = {BASELINE: ("--", "o", "white", PALE, "...."), MIXED: ("-", "s", ACCENT, ACCENT_PALE, "")}


def curves_figure(results: dict[str, Any]) -> bytes:
    """Each arm's mean over the seeds against the step, in a band from its lowest seed to its highest.

    `results` as `measure.measure_curves` gives them.
    """
    steps, reached = results["steps"], results["reached"]
    with plot_style():
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for arm, values in results["arms"].items():
            dashes, marker, fill, band, hatch = LOOKS[arm]
            axes.fill_between(steps, np.min(values, axis=0), np.max(values, axis=0), facecolor=band, alpha=0.6,
                              edgecolor=MID, linewidth=0.6, hatch=hatch)  # fmt: skip
            axes.plot(steps, np.mean(values, axis=0), dashes, marker=marker, color=ACCENT if arm == MIXED else INK,
                      markerfacecolor=fill, markeredgecolor=INK, linewidth=1.6, markersize=6, label=arm)  # fmt: skip
        axes.axhline(reached["baseline"], color=INK, linewidth=1, linestyle=":", label=f"{BASELINE} at its end")
        if reached["step"] is not None:
            axes.axvline(reached["step"], color=MID, linewidth=1)
            axes.text(reached["step"], 0, f" step {reached['step']}", transform=axes.get_xaxis_transform(), va="bottom")
        axes.set_xlabel("step of the alignment")
        axes.set_ylabel(f"CIDEr-D on {results['task']} (n = {results['n']})")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        seeds = len(results["seeds"])
        title = f"line: mean of {seeds} seed{'s' * (seeds > 1)}; band: lowest to highest"
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, title=title,
                      alignment="center", handlelength=4)  # fmt: skip
        return png(figure)
