"""A selection by a second CLIP: the same where it agrees, chance where it has nothing to do with the first."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synthpairs.distributions.params import Distributions
from synthpairs.distributions.rankings import STRATEGIES, rankings


@pytest.fixture
def pool() -> pd.DataFrame:
    """400 candidates, a caption each."""
    rng = np.random.default_rng(5)
    keys = [f"{place:04d}" for place in range(400)]
    rows = pd.DataFrame({"key": keys, "uid": keys, "concept": [f"c{place % 20}" for place in range(400)]})
    for name in ("clip_cosine", "ssim", "edge_density", "entropy", "clutter", "words"):
        rows[name] = rng.uniform(0, 1, 400)
    return rows


def test_what_is_taken_again(pool: pd.DataFrame, settings: Callable, params: Distributions) -> None:
    agreeing = rankings(pool.assign(other_cosine=pool["clip_cosine"] ** 3), 0.25, settings(), params)
    assert agreeing["cosines"]["value"] == 1
    assert agreeing["strategies"]["clip-only"]["other_clip"] == 1
    rng = np.random.default_rng(6)
    strange = rankings(pool.assign(other_cosine=rng.uniform(0, 1, 400)), 0.25, settings(), params)
    assert strange["strategies"]["clip-only"]["other_clip"] == pytest.approx(0.25, abs=0.1)
    assert strange["strategies"]["ssim-only"]["other_clip"] == 1, "no CLIP was asked"


def test_each_strategy_takes_the_share_of_what_it_ranks_by(
    pool: pd.DataFrame, settings: Callable, params: Distributions
) -> None:
    found = rankings(pool, 0.25, settings(), params)
    assert found["cosines"] is None
    assert list(found["strategies"]) == list(STRATEGIES)
    for name, one in found["strategies"].items():
        assert (one["k"], one["chance"], one["other_clip"]) == (100, 0.25, None)
        assert 0.9 < one["stability"] <= 1
        high = max(one["standardised"], key=lambda measure: one["standardised"][measure])
        assert high == ("ssim" if name == "ssim-only" else "clip_cosine")
