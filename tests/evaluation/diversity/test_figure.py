import io

import matplotlib
from PIL import Image

from synthpairs.evaluation.diversity.clusters import measure_diversity
from synthpairs.evaluation.diversity.figure import LINES, shares_figure
from tests.evaluation.diversity.test_clusters import EVEN, SKEWED, TOPICS, captions, embed, settings


def test_the_figure_is_the_same_twice_whatever_the_machine_s_style():
    results = measure_diversity(
        {"skewed": captions(SKEWED), "even": captions(EVEN)}, settings(clusters=[3, TOPICS]), embed
    )
    first = shares_figure(results)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "pink", "savefig.dpi": 30, "axes.grid": True}):
        assert shares_figure(results) == first
    assert not {"Software", "Creation Time"} & set(Image.open(io.BytesIO(first)).info)
    assert len({marker for marker, _, _, _ in LINES}) == len(LINES) == len({dashes for _, _, dashes, _ in LINES})
