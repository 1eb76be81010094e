import numpy as np
import pandas as pd
import pytest

from synthpairs.evaluation.distributions.rankings import STRATEGIES, rankings
from synthpairs.evaluation.distributions.results import MEASURES


@pytest.fixture
def pool():
    """400 candidates, a caption each."""
    rng, keys = np.random.default_rng(5), [f"{number:04d}" for number in range(400)]
    rows = pd.DataFrame({"key": keys, "uid": keys, "concept": [f"c{number % 20}" for number in range(400)]})
    return rows.assign(**{name: rng.uniform(0, 1, 400) for name in MEASURES})


def test_the_share_that_another_clip_selects_too(pool, settings, params):
    agreeing = rankings(pool.assign(other_cosine=pool["clip_cosine"] ** 3), 0.25, settings(), params)
    assert agreeing["cosines"]["value"] == 1
    assert agreeing["strategies"]["clip-only"]["other_clip"] == 1
    unrelated = np.random.default_rng(6).uniform(0, 1, 400)
    strategies = rankings(pool.assign(other_cosine=unrelated), 0.25, settings(), params)["strategies"]
    assert strategies["clip-only"]["other_clip"] == pytest.approx(0.25, abs=0.1)
    assert strategies["ssim-only"]["other_clip"] == 1, "it uses no CLIP"


def test_each_strategy_selects_the_share_with_the_highest_scores(pool, settings, params):
    result = rankings(pool, 0.25, settings(), params)
    assert result["cosines"] is None
    assert list(result["strategies"]) == list(STRATEGIES)
    for name, one in result["strategies"].items():
        assert (one["k"], one["chance"], one["other_clip"]) == (100, 0.25, None)
        assert 0.9 < one["stability"] <= 1
        highest = max(one["standardised"], key=one["standardised"].get)
        assert highest == ("ssim" if name == "ssim-only" else "clip_cosine")
