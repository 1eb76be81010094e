import io

import matplotlib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthpairs.report import figures
from synthpairs.report.findings import concept_means, funnel, rejections
from synthpairs.report.inputs import read_inputs

NAMES = {"clip_cosine": "CLIP cosine", "ssim": "SSIM"}


@pytest.fixture
def inputs(project):
    return read_inputs(("selected", "random", "real"))


def drawn(inputs):
    return {
        "arms": figures.arms_figure(inputs.results, inputs.fixed_answers),
        "funnel": figures.funnel_figure(funnel(inputs), rejections(inputs)),
        "histograms": figures.histograms_figure(inputs.scores, inputs.selected, NAMES),
        "scatter": figures.scatter_figure(inputs.scores, inputs.selected, NAMES),
        "concepts": figures.concepts_figure(concept_means(inputs.scores), "mean"),
    }


def test_every_figure_is_the_same_twice_whatever_the_machine_s_style(inputs):
    first = drawn(inputs)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "pink", "savefig.dpi": 30, "axes.grid": True}):
        assert drawn(inputs) == first
    for payload in first.values():
        assert not {"Software", "Creation Time"} & set(Image.open(io.BytesIO(payload)).info)


def test_of_many_concepts_both_ends_are_shown():
    rng = np.random.default_rng(0)
    names = [f"thing{number}" for number in range(300)]
    table = pd.DataFrame({"mean": np.sort(rng.random(300)), "margin": 0.1, "n": 4}, index=names)
    wide = Image.open(io.BytesIO(figures.concepts_figure(table, "mean"))).width
    assert wide == Image.open(io.BytesIO(figures.concepts_figure(table.head(10), "mean"))).width


def test_names_are_drawn_as_they_are(inputs):
    odd = rejections(inputs).rename(columns={"human": "a$x$_{b", "model": "100%"})
    assert figures.funnel_figure(odd, odd)
