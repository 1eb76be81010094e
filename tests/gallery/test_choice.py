from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.gallery.choice import choose, extremes_and_sample, sample
from synthpairs.schema import digest


@pytest.fixture
def candidates():
    """200 candidates of 100 captions, some without a score."""
    rows = pd.DataFrame({"id": [digest("id", place) for place in range(200)]})
    rows["uid"] = [digest("uid", place // 2) for place in range(200)]
    rows["score"] = np.random.default_rng(0).permutation(200).astype(float)
    rows.loc[:9, "score"] = np.nan
    return rows


def test_what_fits_is_shown_whole(candidates, params):
    assert choose({"candidate": candidates, "real": candidates}, params)["candidate"] is candidates


def test_a_third_each_of_best_worst_and_random_captions_with_all_their_candidates(candidates, params):
    shown = extremes_and_sample(candidates, replace(params, limit=60))
    assert 54 <= len(shown) <= 60
    assert (shown.groupby("uid").size() == 2).all()
    assert set(candidates.nlargest(5, "score")["id"]) <= set(shown["id"])
    assert set(candidates.nsmallest(5, "score")["id"]) <= set(shown["id"])
    middle = shown.groupby("uid")["score"].agg(["min", "max"]).query("min > 40 and max < 160")
    assert len(middle) > 0


def test_chance_depends_on_the_seed_and_on_nothing_else(candidates, params):
    few = replace(params, limit=30)
    for take in (extremes_and_sample, sample):
        shown = set(take(candidates, few)["id"])
        assert set(take(candidates.iloc[::-1], few)["id"]) == shown
        assert set(take(candidates, replace(few, seed=1))["id"]) != shown
    assert len(sample(candidates, few)) == 30
