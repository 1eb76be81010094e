"""Comparisons against scipy and against what is known of a made-up table."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from synthpairs.distributions import results
from synthpairs.distributions.params import Distributions
from synthpairs.distributions.sets import Chosen


def test_superiority_is_the_mann_whitney_statistic(table: pd.DataFrame, params: Distributions) -> None:
    ones, others = table[table["origin"] == "synthetic"], table[table["origin"] == "real"]
    for measure in ("ssim", "clutter", "words"):  # the latter two with ties
        found = results.superiority(ones, others, measure, params)
        expected = mannwhitneyu(ones[measure], others[measure]).statistic / (len(ones) * len(others))
        assert found["value"] == pytest.approx(expected, abs=1e-4)
        assert found["low"] < found["value"] < found["high"]
    assert results.superiority(ones, ones, "ssim", params)["value"] == 0.5


def test_intervals_are_as_wide_as_a_plain_bootstrap_of_concepts(table: pd.DataFrame, params: Distributions) -> None:
    ones, others = table[table["origin"] == "synthetic"], table[table["origin"] == "real"]
    found = results.superiority(ones, others, "clutter", params)
    rng, drawn = np.random.default_rng(9), []
    concepts = sorted(set(table["concept"]))
    parts = {name: (ones[ones["concept"] == name], others[others["concept"] == name]) for name in concepts}
    for _ in range(300):
        picked = rng.choice(concepts, len(concepts))
        a, b = (pd.concat([parts[name][side] for name in picked])["clutter"] for side in (0, 1))
        drawn.append(mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert [found["low"], found["high"]] == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])), abs=0.03)


def test_spearman_is_scipys(table: pd.DataFrame, params: Distributions) -> None:
    for other in ("clutter", "entropy", "words"):
        found = results.spearman(table, "ssim", other, params)
        assert found["value"] == pytest.approx(spearmanr(table["ssim"], table[other]).statistic, abs=1e-4)
        assert found["low"] < found["value"] < found["high"]
    assert results.spearman(table.assign(words=3), "ssim", "words", params)["value"] is None


def test_concepts_explain_what_differs_between_them() -> None:
    groups = ["a", "b", "c"] * 20
    rng = np.random.default_rng(0)
    apart = pd.Series([{"a": 0.0, "b": 5.0, "c": 9.0}[name] for name in groups]) + rng.normal(0, 0.01, 60)
    assert results.omega_squared(apart, groups) == pytest.approx(1, abs=0.001)
    assert results.omega_squared(pd.Series(rng.normal(size=60)), groups) == pytest.approx(0, abs=0.1)
    assert results.omega_squared(apart, list(range(60))) is None  # each alone: no variance within


def test_the_sets_are_described(table: pd.DataFrame, chosen: Chosen) -> None:
    found = results.describe(table, chosen)
    assert {name: one["n"] for name, one in found.items()} == {"candidates": 60, "selected": 15, "real": 30}
    assert found["candidates"]["concepts"] == {"n": 12, "effective": 12.0, "distance": pytest.approx(0.1, abs=0.05)}
    assert found["real"]["concepts"]["distance"] == 0
    real = table.loc[table["origin"] == "real", "ssim"]
    assert found["real"]["measures"]["ssim"]["q50"] == pytest.approx(real.median(), abs=1e-4)


def test_pictures_of_one_caption_are_compared_with_each_other(
    table: pd.DataFrame, chosen: Chosen, params: Distributions
) -> None:
    found = results.coupled(table, chosen, params)
    cells = table.set_index("key")
    pairs = zip(chosen.couples["synthetic"], chosen.couples["real"], strict=True)
    expected = np.mean([cells.loc[one, "ssim"] - cells.loc[other, "ssim"] for one, other in pairs])
    assert found["ssim"]["value"] == pytest.approx(expected, abs=1e-4)
    assert found["ssim"]["n"] == 20
    assert "words" not in found
    alone = Chosen(rows=chosen.rows, keys=chosen.keys, couples=chosen.couples[:1])
    assert results.coupled(table, alone, params) == {}


def test_what_a_selection_takes_is_told_in_standard_deviations(table: pd.DataFrame) -> None:
    told = results.standardised(table.nlargest(9, "entropy"), table.assign(words=3), ["entropy", "words"])
    assert told["words"] is None
    entropy = table["entropy"]
    expected = (entropy.nlargest(9).mean() - entropy.mean()) / entropy.std()
    assert told["entropy"] == pytest.approx(expected, abs=1e-4)
