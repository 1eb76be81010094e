"""Settings at test size, and a table of measures with known relations."""

import numpy as np
import pandas as pd
import pytest

from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.rankings import rankings
from synthpairs.evaluation.distributions.results import (
    against_real,
    captions_with_both,
    describe,
    preferences,
    same_caption_differences,
)
from synthpairs.evaluation.distributions.sets import PairSets
from synthpairs.selection.params import Select
from tests.scoring.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401

PARAMS = Distributions(seed=0, count=100, image_size=32, other=None, resamples=400)
SELECT = Select(strategy="top", normalisation="sum", num_pairs=3, clip_weight=1.0, clip_scale=1.0, ssim_weight=0.5, best_of=False,
                per_concept=None, seed=0, samples_per_shard=2)  # fmt: skip


def made_up_table():
    """60 candidates of 12 concepts and 30 real pairs; the first 20 of either are of the same captions."""
    rng = np.random.default_rng(3)
    numbers, origins = [*range(60), *range(30)], ["synthetic"] * 60 + ["real"] * 30
    rows = pd.DataFrame({"origin": origins, "uid": [f"u{number:03d}" for number in numbers]})
    rows["key"] = [
        f"{'s' if origin == 'synthetic' else 'z'}{number:03d}" for origin, number in zip(origins, numbers, strict=True)
    ]
    rows["concept"] = [f"c{number % 12}" for number in numbers]
    rows["clutter"] = rng.integers(2, 20, 90).astype(float)
    rows["ssim"] = 1 - rows["clutter"] / 40 + rng.normal(0, 0.02, 90) + (rows["origin"] == "synthetic") * 0.1
    for name in ("clip_cosine", "entropy", "edge_density"):
        rows[name] = rng.uniform(0, 1, 90)
    rows["words"] = rng.integers(3, 12, 90)
    return rows


def pair_sets_of(table):
    """The sets of that table, with the 15 candidates of highest cosine selected."""
    synthetic, real = (table[table["origin"] == origin] for origin in ("synthetic", "real"))
    both = pd.DataFrame({"uid": synthetic["uid"][:20], "synthetic": synthetic["key"][:20]})
    both["real"] = list(real["key"][:20])
    best = synthetic.nlargest(15, "clip_cosine")
    keys = {"candidates": synthetic, "selected": best, "real": real}
    return PairSets(rows=table, keys={name: sorted(part["key"]) for name, part in keys.items()}, same_caption=both)


def results_of(table, chosen):
    """The stage's results of them."""
    pool = table[table["key"].isin(chosen.keys["candidates"])].assign(other_cosine=lambda rows: rows["clip_cosine"])
    return {
        "candidates": 60, "unreadable": 0, "sets": describe(table, chosen), "other": "a second one",
        "against_real": against_real(table, chosen, PARAMS), "captions_with_both": len(captions_with_both(table, chosen)),
        "coupled": same_caption_differences(table, chosen, PARAMS), "preferences": preferences(pool, PARAMS),
        "rankings": rankings(pool, 0.25, SELECT, PARAMS),
    }  # fmt: skip


params = pytest.fixture(lambda: PARAMS)  # all pairs, no second CLIP
table = pytest.fixture(made_up_table)
chosen = pytest.fixture(pair_sets_of)
results = pytest.fixture(results_of)
