"""Figure of the distributions: PNG bytes, deterministic, readable in black and white."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synthpairs.core.plots import ACCENT, INK, MID, plot_style, png
from synthpairs.evaluation.distributions.results import MEASURES

LABELS = {
    "clip_cosine": "CLIP cosine",
    "ssim": "SSIM with its own small version",
    "words": "words of the caption",
    "edge_density": "share of pixels on an edge",
    "entropy": "entropy of the gray levels, bits",
    "clutter": "regions of a segmentation",
}
LINES = {"candidates": (INK, "-"), "selected": (ACCENT, (0, (6, 2))), "real": (MID, (0, (1, 1)))}
COLUMNS = 3


def distributions_figure(measures: pd.DataFrame) -> bytes:
    """Empirical distribution functions of each set, a panel per measure; columns are `set` and the measures."""
    with plot_style():
        rows = -(-len(MEASURES) // COLUMNS)
        figure = Figure(figsize=(3.5 * COLUMNS, 2.5 * rows + 0.4), layout="constrained")
        panels = list(figure.subplots(rows, COLUMNS, squeeze=False).flat)
        for measure, axes in zip(MEASURES, panels, strict=False):
            _panel(axes, measures, measure)
        for axes in panels[len(MEASURES) :]:
            axes.remove()
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LINES),
                      handlelength=4)  # fmt: skip
        return png(figure)


def _panel(axes: Axes, measures: pd.DataFrame, measure: str) -> None:
    for name, (colour, dashes) in LINES.items():
        values = np.sort(measures.loc[measures["set"] == name, measure].to_numpy())
        shares = np.arange(1, len(values) + 1) / len(values)
        axes.step(values, shares, where="post", color=colour, linestyle=dashes, linewidth=1.7,
                  label=f"{name} (n = {len(values):,})")  # fmt: skip
    axes.set_xlabel(LABELS[measure])
    axes.set_ylabel("share of pairs up to it")
    axes.set_ylim(0, 1.02)
    axes.grid()
