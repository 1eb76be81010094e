"""Style and PNG encoding of all plots; equal figures give equal bytes on any machine."""

import io
from contextlib import AbstractContextManager

from matplotlib import style
from matplotlib.figure import Figure

DOTS_PER_INCH = 110
INK, MID, PALE = "#1b1b1b", "#7a7a7a", "#d0d0d0"
ACCENT, ACCENT_PALE = "#0b5fa5", "#a9cbe8"
_STYLE = {
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "text.parse_math": False,  # dollar signs are literal
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def plot_style() -> AbstractContextManager[None]:
    """Context in which figures have the project's style, whatever matplotlibrc the machine has."""
    return style.context(["default", _STYLE])


def empty_figure(reason: str) -> bytes:
    """A PNG with the reason why there is no plot."""
    with plot_style():
        figure = Figure(figsize=(5.2, 1.2), layout="constrained")
        figure.text(0.5, 0.5, reason, ha="center", va="center", color=MID)
        return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as PNG, without metadata of the software."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
