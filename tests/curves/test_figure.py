import io

import matplotlib as mpl
import pytest
from PIL import Image

from synthpairs.curves.figure import curves_figure


@pytest.fixture
def results():
    """Two arms, two seeds, three steps."""
    return {
        "measure": "cider_d", "task": "desk_caption", "n": 10, "seeds": [0, 1], "steps": [2, 5, 10],
        "arms": {"real-codes": [[0.1, 0.5, 0.9], [0.2, 0.4, 1.1]], "genpair": [[0.3, 1.0, 1.2], [0.2, 1.1, 1.3]]},
        "reached": {"step": 5, "baseline": 1.0},
    }  # fmt: skip


def test_the_figure_is_the_same_twice_whatever_the_machine_s_style(results):
    first = curves_figure(results)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9}):
        assert curves_figure(results) == first


def test_a_baseline_that_is_not_reached_and_one_seed_make_a_figure(results):
    results["seeds"] = [0]
    results["arms"] = {arm: values[:1] for arm, values in results["arms"].items()}
    results["reached"] = {"step": None, "baseline": 2.0}
    assert Image.open(io.BytesIO(curves_figure(results))).width > 100
