import numpy as np
import pandas as pd
import pytest

from synthpairs.core.schema import digest
from synthpairs.selection.ranking import fused_score, hash_score, rank_candidates

STRATEGIES = ("top", "random", "bottom", "clip-only", "ssim-only")
FUSIONS = ("sum", "zscore", "rank")
D = np.std([0.36, 0, 0.2, 0.4])


@pytest.mark.parametrize(
    ("changed", "ssim", "expected"),
    [
        ({}, [0.86, 0.5, 0.9, 0.7], [0.79, 0.25, 0.65, 0.75]),  # 0.79 is the paper's mean
        ({"clip_scale": 2.5}, [0.86, 0.5, 0.9, 0.7], [1.33, 0.25, 0.95, 1.35]),
        ({"clip_weight": 2.0, "ssim_weight": 0.0}, [0.86, 0.5, 0.9, 0.7], [0.72, 0, 0.4, 0.8]),
        # The cosines count as 0.36, 0, 0.2, 0.4: mean 0.24, deviation D; SSIM has mean 0.7 and deviation 0.2.
        (
            {"normalisation": "zscore"},
            [0.5, 0.5, 0.9, 0.9],
            [0.12 / D - 0.5, -0.24 / D - 0.5, -0.04 / D + 0.5, 0.16 / D + 0.5],
        ),
        ({"normalisation": "zscore", "clip_scale": 2.5}, [0.8] * 4, [0.12 / D, -0.24 / D, -0.04 / D, 0.16 / D]),
        # Ranks of the cosines 3, 1, 2, 4; of SSIM 1.5, 1.5, 4, 3; each over 4.
        ({"normalisation": "rank"}, [0.5, 0.5, 0.9, 0.7], [0.75 + 0.1875, 0.25 + 0.1875, 0.5 + 0.5, 1 + 0.375]),
    ],
)
def test_fused_scores_are_those_computed_by_hand(settings, changed, ssim, expected):
    rows = pd.DataFrame({"clip_cosine": [0.36, -0.2, 0.2, 0.4], "ssim": ssim})
    assert fused_score(rows, settings(**changed)).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_missing_score_stays_missing_and_does_not_change_others(settings, fusion):
    rows = pd.DataFrame({"clip_cosine": [0.2, 0.3, np.nan], "ssim": [0.5, 0.9, 0.7]})
    clip = fused_score(rows, settings(normalisation=fusion, ssim_weight=0.0))
    assert clip.isna().tolist() == [False, False, True]
    assert clip[:2].tolist() == fused_score(rows[:2], settings(normalisation=fusion, ssim_weight=0.0)).tolist()


def test_a_hash_score_is_the_start_of_a_digest(candidates):
    for seed, purpose in ((0, "arm"), (-7, "strategy")):
        expected = [int(digest(purpose, seed, key)[:13], 16) / 16**13 for key in candidates["key"]]
        assert hash_score(candidates["key"], seed, purpose).tolist() == expected
    assert hash_score(candidates["key"], 0, "arm").between(0, 1, inclusive="left").all()


@pytest.mark.parametrize("best_of", [False, True])
@pytest.mark.parametrize(
    ("strategy", "fusion"), [*((strategy, "sum") for strategy in STRATEGIES), ("top", "zscore"), ("top", "rank")]
)
def test_row_order_never_matters(settings, candidates, strategy, fusion, best_of):
    params = settings(strategy=strategy, normalisation=fusion, best_of=best_of)
    candidates["clip_cosine"] *= np.random.default_rng(0).choice([1, 1 / 3, 0.7], 30)  # sums of which are not exact
    expected, _ = rank_candidates(candidates, params)
    for seed in range(5):
        shuffled = candidates.sample(frac=1, random_state=seed)
        assert rank_candidates(shuffled, params)[0].equals(expected)


def test_strategies(settings, candidates):
    ranked = {name: rank_candidates(candidates, settings(strategy=name, best_of=False))[0] for name in STRATEGIES}
    for strategy, ascending in (("top", False), ("bottom", True)):  # ties go to the smaller key
        assert ranked[strategy].equals(ranked[strategy].sort_values(["score", "key"], ascending=[ascending, True]))
    assert ranked["clip-only"]["clip_cosine"].is_monotonic_decreasing
    assert ranked["ssim-only"]["ssim"].is_monotonic_decreasing
    assert all(table["rank"].tolist() == list(range(29)) for table in ranked.values())
    other = rank_candidates(candidates, settings(strategy="random", best_of=False, seed=1))[0]
    assert other["key"].tolist() != ranked["random"]["key"].tolist()
    assert set(other["key"]) == set(ranked["random"]["key"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_best_of_lets_one_candidate_of_each_caption_compete(settings, candidates, strategy):
    ranked, excluded = rank_candidates(candidates, settings(strategy=strategy))
    assert ranked["uid"].is_unique
    assert len(ranked) == 10
    assert excluded == {"unscored": 1, "beaten": 19}
    all_ranked, _ = rank_candidates(candidates, settings(strategy=strategy, best_of=False))
    assert ranked.set_index("uid")["score"].sort_index().equals(all_ranked.groupby("uid")["score"].max())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_per_concept_keeps_the_first_so_many_of_each_concept(settings, candidates, strategy):
    candidates = candidates.assign(concept=[["dog", "cat", None, ""][number // 3 % 4] for number in range(30)])
    uncapped, _ = rank_candidates(candidates, settings(strategy=strategy))
    capped, excluded = rank_candidates(candidates, settings(strategy=strategy, per_concept=2))
    expected = [row.key for row in uncapped.itertuples() if pd.isna(row.concept) or not row.concept or
                (uncapped["concept"][: row.Index] == row.concept).sum() < 2]  # fmt: skip
    assert capped["key"].tolist() == expected
    assert capped["rank"].tolist() == list(range(len(expected)))
    assert len(capped) + sum(excluded.values()) == len(candidates)
    assert excluded["crowded_out"] == len(uncapped) - len(expected) > 0
