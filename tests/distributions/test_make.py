"""The stage's work on tiny data: the numbers of `scores`, bytes twice alike, a broken picture, what is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.distributions.make import TABLE, make_distributions
from synthpairs.distributions.params import Distributions, OtherClip
from synthpairs.distributions.sets import choose
from synthpairs.scores.params import Scores
from synthpairs.scores.score import score_images
from synthpairs.selection.make import make_selection


@pytest.fixture
def selected(data: Path, settings: Callable, scores: Callable) -> Path:
    """The data with real scores of a tiny CLIP, and a selection from them."""
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    score_images(manifest, scores(), data / "images", data / "scores")
    make_selection(settings(), ["selected", "real"], data, data / "selected")
    return data


def test_candidates_keep_their_scores_and_real_pairs_get_some(
    selected: Path, params: Distributions, scores: Callable, settings: Callable
) -> None:
    asked: Scores = scores()
    other = replace(params, other=OtherClip(clip=asked.clip, pretrained=None))
    results, drawn, volatile = make_distributions(other, asked, settings(), selected, selected / "one")
    table = pd.read_parquet(selected / "one" / TABLE).set_index("key")
    known = pd.read_parquet(selected / "scores/scores.parquet").set_index("key")
    both = table.loc[known.index]
    pd.testing.assert_frame_equal(both[["clip_cosine", "ssim"]], known[["clip_cosine", "ssim"]])
    assert (table["other_cosine"] == table["clip_cosine"]).all()
    assert set(table["origin"]) == {"real", "synthetic"}
    assert results["rankings"]["cosines"]["value"] == 1
    assert {name: one["n"] for name, one in results["sets"].items()} == {"candidates": 16, "selected": 3, "real": 3}
    assert set(drawn["set"]) == {"candidates", "selected", "real"}
    assert volatile == {"reused": 0}
    again, _, volatile = make_distributions(other, asked, settings(), selected, selected / "two")
    assert (selected / "one" / TABLE).read_bytes() == (selected / "two" / TABLE).read_bytes()
    assert again == results
    assert volatile == {"reused": len(table)}


def test_a_draw_is_the_start_of_a_larger_one(selected: Path) -> None:
    few, all_ = (choose(selected, count, seed=0) for count in (2, 100))
    assert {name: len(keys) for name, keys in few.keys.items()} == {"candidates": 2, "selected": 2, "real": 2}
    assert all(set(few.keys[name]) < set(all_.keys[name]) for name in few.keys)
    assert few.keys != choose(selected, 2, seed=1).keys


def test_without_real_pairs_there_is_nothing_to_compare_with(selected: Path) -> None:
    (selected / "selected/pairs/real.parquet").unlink()
    with pytest.raises(ValueError, match=r"0 real pairs, 2 are needed.*params\.yaml: arms"):
        choose(selected, 10, 0)
