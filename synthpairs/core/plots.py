"""How every plot looks, and how it becomes a PNG: equal figures give equal bytes, on any machine."""

import io
from contextlib import AbstractContextManager

from matplotlib import style
from matplotlib.figure import Figure

DOTS_PER_INCH = 110
INK, MID, PALE = "#1b1b1b", "#7a7a7a", "#d0d0d0"
ACCENT, ACCENT_PALE = "#0b5fa5", "#a9cbe8"
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has it
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
    "text.parse_math": False,  # a dollar in a name is a dollar
    "legend.frameon": False,
    "figure.facecolor": "white",
}


def plot_style() -> AbstractContextManager[None]:
    """Draw in the project's style while this is open."""
    return style.context(["default", _STYLE])  # whatever matplotlibrc a machine has


def empty_figure(reason: str) -> bytes:
    """A PNG that says why there is no plot."""
    with plot_style():
        figure = Figure(figsize=(5.2, 1.2), layout="constrained")
        figure.text(0.5, 0.5, reason, ha="center", va="center", color=MID)
        return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as PNG, without the name of what wrote it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()
