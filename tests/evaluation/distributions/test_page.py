"""The sections and the plot of a made-up table."""

import re

import pandas as pd

from synthpairs.evaluation.distributions.figure import distributions_figure
from synthpairs.evaluation.distributions.results import MEASURES, tracked_metrics
from synthpairs.report.sections.distributions import section


def test_the_page_says_what_differs(results):
    strategies = results["rankings"]["strategies"]
    for one in strategies.values():  # columns stand under their names however the JSON is sorted
        one["standardised"] = dict(sorted(one["standardised"].items()))
    results["rankings"]["strategies"] = dict(sorted(strategies.items()))
    page = section(results)
    assert "the synthetic pictures have more: SSIM" in page
    less = re.search(r"a high SSIM goes with less \((.*?)\)\.", page)
    assert less
    assert "regions of a segmentation" in less[1]
    assert "(n = 20)" in page
    *_, row = (line for line in page.splitlines() if line.startswith("| CLIP cosine | "))
    assert row.count("|") == len(MEASURES) + 6
    cells = [cell.strip() for cell in row.split("|")[2 : 2 + len(MEASURES)]]
    assert cells == [f"{strategies['clip-only']['standardised'][measure]:+.2f}" for measure in MEASURES]
    assert not re.search("nan|None", page)


def test_without_couples_and_second_clip(results):
    results |= {"coupled": {}, "captions_with_both": 1, "other": None}
    results["rankings"]["cosines"] = None
    for one in results["rankings"]["strategies"].values():
        one["other_clip"] = None
    page = section(results)
    assert "Too few to say: n = 1 caption with both pictures, 2 are needed." in page
    assert "No other CLIP was asked" in page
    assert tracked_metrics(results)["other_clip"] == {}


def test_the_plot_is_the_same_twice(table, chosen):
    drawn = pd.concat([chosen.of(name, table).assign(set=name) for name in chosen.keys], ignore_index=True)
    assert distributions_figure(drawn) == distributions_figure(drawn)
