"""Settings at test size, and a table of measures with known relations."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synthpairs.distributions.params import Distributions
from synthpairs.distributions.sets import Chosen
from tests.scores.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401


@pytest.fixture
def params() -> Distributions:
    """All pairs, no second CLIP."""
    return Distributions(seed=0, count=100, side=32, other=None, resamples=400)


@pytest.fixture
def table() -> pd.DataFrame:
    """60 candidates of 12 concepts and 30 real pairs; the first 20 of either are of the same captions."""
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"key": [f"s{place:03d}" for place in range(60)] + [f"z{place:03d}" for place in range(30)]})
    rows["uid"] = [f"u{place:03d}" for place in [*range(60), *range(30)]]
    rows["concept"] = [f"c{place % 12}" for place in [*range(60), *range(30)]]
    rows["origin"] = ["synthetic"] * 60 + ["real"] * 30
    rows["clutter"] = rng.integers(2, 20, 90).astype(float)
    rows["ssim"] = 1 - rows["clutter"] / 40 + rng.normal(0, 0.02, 90) + (rows["origin"] == "synthetic") * 0.1
    for name in ("clip_cosine", "entropy", "edge_density"):
        rows[name] = rng.uniform(0, 1, 90)
    rows["words"] = rng.integers(3, 12, 90)
    return rows


@pytest.fixture
def chosen(table: pd.DataFrame) -> Chosen:
    """The sets of that table: the 15 candidates of highest cosine are selected."""
    synthetic, real = table[table["origin"] == "synthetic"], table[table["origin"] == "real"]
    couples = pd.DataFrame({"uid": synthetic["uid"][:20], "synthetic": synthetic["key"][:20]})
    couples["real"] = list(real["key"][:20])
    best = synthetic.nlargest(15, "clip_cosine")
    keys = {"candidates": synthetic, "selected": best, "real": real}
    return Chosen(rows=table, keys={name: sorted(part["key"]) for name, part in keys.items()}, couples=couples)


@pytest.fixture
def results(table: pd.DataFrame, chosen: Chosen, params: Distributions, settings: Callable) -> dict:  # noqa: F811
    """What the stage makes of them."""
    from synthpairs.distributions import rankings, results

    pool = table[table["key"].isin(chosen.keys["candidates"])].assign(other_cosine=lambda rows: rows["clip_cosine"])
    return {
        "candidates": 60,
        "unreadable": 0,
        "sets": results.describe(table, chosen),
        "against_real": results.against_real(table, chosen, params),
        "coupled": results.coupled(table, chosen, params),
        "preferences": results.preferences(table, chosen, params),
        "rankings": rankings.rankings(pool, 0.25, settings(best_of=False), params),
        "other": "a second one",
    }
