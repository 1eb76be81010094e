import io

import matplotlib
import pytest
from PIL import Image

from synthpairs.evaluation.diversity.clusters import analyse, tracked_metrics
from synthpairs.evaluation.diversity.figure import LINES, shares_figure
from synthpairs.report.sections.diversity import markdown
from tests.evaluation.diversity.test_clusters import EVEN, SKEWED, TOPICS, captions, embed, settings


@pytest.fixture(scope="module")
def results():
    sets = {"skewed": captions(SKEWED), "even": captions(EVEN), "also even": captions(EVEN)}
    return analyse(sets, settings(clusters=[3, TOPICS]), embed)


def test_the_figure_is_the_same_twice_whatever_the_machine_s_style(results):
    first = shares_figure(results)
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "pink", "savefig.dpi": 30, "axes.grid": True}):
        assert shares_figure(results) == first
    assert not {"Software", "Creation Time"} & set(Image.open(io.BytesIO(first)).info)
    assert len({marker for marker, _, _, _ in LINES}) == len(LINES) == len({dashes for _, _, dashes, _ in LINES})


def test_one_set_and_one_k_make_a_figure():
    one = analyse({"even": captions(EVEN)}, settings(), embed)
    assert Image.open(io.BytesIO(shares_figure(one))).width > 100
    assert "- k = 8: even is the only set." in markdown(one)


def test_the_table_has_every_set_and_k_beside_the_paper(results):
    lines = markdown(results).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert [row.split(" | ")[:2] for row in rows[2:4]] == [["| 3", "skewed"], ["| 3", "even"]]
    assert "| 8 | even | 160 (160) | 2.08 ± 0.00 [" in rows[6]
    assert "62.5% ± 0.0%" in rows[6]
    assert "57.7%" in rows[-2]
    assert "69.8% to 83.0%" in rows[-1]
    assert "160 captions of each set, drawn by hash" in lines[0]
    assert "3 k-means seeds" in lines[0]
    verdict = "k = 8: also even is spread more evenly than skewed; no difference shown between also even and even."
    assert verdict in lines[-1]


def test_the_headline_is_small_and_names_what_it_rests_on(results):
    numbers = tracked_metrics(results)
    assert (numbers["captions_per_set"], numbers["clusters"]) == (160, TOPICS)
    assert list(numbers["entropy"]) == ["also even", "even", "skewed"]
    assert numbers["top5_share"]["skewed"] == 1
