"""The sections and the plot of a made-up table."""

import re

import pandas as pd

from synthpairs.distributions.figure import distributions_figure
from synthpairs.distributions.page import headline, section
from synthpairs.distributions.results import MEASURES
from synthpairs.distributions.sets import Chosen


def test_the_page_says_what_differs(results: dict) -> None:
    page = section(results)
    assert "the synthetic pictures have more: SSIM" in page
    liked = re.search(r"a high SSIM goes with less \((.*?)\)\.", page)
    assert liked
    assert "regions of a segmentation" in liked[1]
    assert "(n = 20)" in page
    row = next(line for line in page.splitlines() if line.startswith("| SSIM | "))
    assert row.count("|") == len(MEASURES) + 6
    assert not any(word in page for word in ("nan", "None"))


def test_columns_stand_under_their_names_however_the_json_is_sorted(results: dict) -> None:
    strategies = results["rankings"]["strategies"]
    for one in strategies.values():
        one["standardised"] = dict(sorted(one["standardised"].items()))
    results["rankings"]["strategies"] = dict(sorted(strategies.items()))
    *_, row = (line for line in section(results).splitlines() if line.startswith("| CLIP cosine | "))
    told = [cell.strip() for cell in row.split("|")[2 : 2 + len(MEASURES)]]
    assert told == [f"{strategies['clip-only']['standardised'][measure]:+.2f}" for measure in MEASURES]


def test_without_couples_and_second_clip(results: dict) -> None:
    results |= {"coupled": {}, "captions_with_both": 1, "other": None}
    results["rankings"]["cosines"] = None
    for one in results["rankings"]["strategies"].values():
        one["other_clip"] = None
    page = section(results)
    assert "Too few to say: n = 1 caption with both pictures, 2 are needed." in page
    assert "No other CLIP was asked" in page
    assert headline(results)["other_clip"] == {}


def test_the_plot_is_the_same_twice(table: pd.DataFrame, chosen: Chosen) -> None:
    parts = [table[table["key"].isin(keys)].assign(set=name) for name, keys in chosen.keys.items()]
    drawn = pd.concat(parts, ignore_index=True)
    assert distributions_figure(drawn) == distributions_figure(drawn)
