import io

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.report import figures
from synthpairs.report.analysis import concept_means, funnel, rejections

NAMES = {"clip_cosine": "CLIP cosine", "ssim": "SSIM"}


def drawn(results):
    odd = rejections(results).rename(columns={"human": "a$x$_{b", "model": "100%"})  # names are no markup
    return [
        figures.arms_figure(results.results, results.fixed_answers),
        figures.funnel_figure(funnel(results), rejections(results)),
        figures.funnel_figure(odd, odd),
        figures.histograms_figure(results.scores, results.selected, NAMES),
        figures.scatter_figure(results.scores, results.selected, NAMES),
        figures.concepts_figure(concept_means(results.scores), "mean"),
    ]


def test_every_figure_is_the_same_twice_whatever_the_machine_s_style(results):
    first = drawn(results)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "pink", "savefig.dpi": 30, "axes.grid": True}):
        assert drawn(results) == first
    for payload in first:
        assert not {"Software", "Creation Time"} & set(Image.open(io.BytesIO(payload)).info)


def test_of_many_concepts_both_ends_are_shown():
    names = [f"thing{number}" for number in range(300)]
    table = pd.DataFrame({"mean": np.linspace(0, 1, 300), "margin": 0.1, "n": 4}, index=names)
    wide, narrow = (Image.open(io.BytesIO(figures.concepts_figure(part, "mean"))) for part in (table, table.head(10)))
    assert wide.width == narrow.width
