import numpy as np
import pandas as pd
import pytest
from scipy.stats import mannwhitneyu, spearmanr

from synthpairs.evaluation.distributions import results
from synthpairs.evaluation.distributions.sets import PairSets


def test_superiority_and_correlation_are_scipys(table, params):
    ones, others = (table[table["origin"] == origin] for origin in ("synthetic", "real"))
    for measure in ("ssim", "clutter", "words"):  # the latter two with ties
        expected = mannwhitneyu(ones[measure], others[measure]).statistic / (len(ones) * len(others))
        above = results.superiority(ones, others, measure, params)
        with_entropy = results.spearman(table, measure, "entropy", params)
        rho = spearmanr(table[measure], table["entropy"]).statistic
        for result, value in ((above, expected), (with_entropy, rho)):
            assert result["value"] == pytest.approx(value, abs=1e-4)
            assert result["low"] < result["value"] < result["high"]
    assert results.superiority(ones, ones, "ssim", params)["value"] == 0.5
    assert results.spearman(table.assign(words=3), "ssim", "words", params)["value"] is None


def test_intervals_are_as_wide_as_a_plain_bootstrap_of_concepts(table, params):
    sides = [table[table["origin"] == origin] for origin in ("synthetic", "real")]
    result = results.superiority(*sides, "clutter", params)
    rng, drawn = np.random.default_rng(9), []
    groups = [{name: part["clutter"] for name, part in side.groupby("concept")} for side in sides]
    for _ in range(300):
        picked = rng.choice(sorted(groups[0]), len(groups[0]))
        ones, others = (pd.concat([group[name] for name in picked]) for group in groups)
        drawn.append(mannwhitneyu(ones, others).statistic / (len(ones) * len(others)))
    assert [result["low"], result["high"]] == pytest.approx(list(np.quantile(drawn, [0.025, 0.975])), abs=0.03)


def test_concepts_explain_what_differs_between_them():
    groups, rng = np.tile(["a", "b", "c"], 20), np.random.default_rng(0)
    differing = pd.Series(np.tile([0.0, 5.0, 9.0], 20) + rng.normal(0, 0.01, 60))
    assert results.omega_squared(differing, groups) == pytest.approx(1, abs=0.001)
    assert results.omega_squared(pd.Series(rng.normal(size=60)), groups) == pytest.approx(0, abs=0.1)
    assert results.omega_squared(differing, list(range(60))) is None  # groups of one row have no variance


def test_the_sets_are_described(table, chosen):
    sets = results.describe(table, chosen)
    assert {name: one["n"] for name, one in sets.items()} == {"candidates": 60, "selected": 15, "real": 30}
    assert sets["candidates"]["concepts"] == {"n": 12, "effective": 12.0, "distance": pytest.approx(0.1, abs=0.05)}
    assert sets["real"]["concepts"]["distance"] == 0
    real = table.loc[table["origin"] == "real", "ssim"]
    assert sets["real"]["measures"]["ssim"]["q50"] == pytest.approx(real.median(), abs=1e-4)


def test_images_of_one_caption_are_compared_with_each_other(table, chosen, params):
    differences, ssim = results.same_caption_differences(table, chosen, params), table.set_index("key")["ssim"]
    synthetic, real = (ssim[chosen.same_caption[side]].to_numpy() for side in ("synthetic", "real"))
    assert differences["ssim"]["value"] == pytest.approx((synthetic - real).mean(), abs=1e-4)
    assert differences["ssim"]["n"] == 20
    assert "words" not in differences
    alone = PairSets(rows=chosen.rows, keys=chosen.keys, same_caption=chosen.same_caption[:1])
    assert results.same_caption_differences(table, alone, params) == {}


def test_the_means_of_a_selection_are_in_standard_deviations(table):
    distances = results.standardised(table.nlargest(9, "entropy"), table.assign(words=3), ["entropy", "words"])
    entropy = table["entropy"]
    expected = (entropy.nlargest(9).mean() - entropy.mean()) / entropy.std()
    assert distances == {"entropy": pytest.approx(expected, abs=1e-4), "words": None}
