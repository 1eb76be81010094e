"""Ranking: the formula, the strategies, ties, and that the order of the rows never matters."""

from collections.abc import Callable

import pandas as pd
import pytest

from synthpairs.selection.params import Select
from synthpairs.selection.ranking import fused_score, rank_candidates, select_top_k

Settings = Callable[..., Select]
STRATEGIES = ("top", "random", "rear", "clip-only", "ssim-only")


def test_formula_of_the_paper(settings: Settings) -> None:
    rows = pd.DataFrame({"clip_cosine": [0.36, -0.2], "ssim": [0.86, 0.5]})
    assert fused_score(rows, settings()).round(9).tolist() == [0.79, 0.25]  # 0.79 is the paper's mean
    assert fused_score(rows, settings(clip_scale=2.5)).round(9).tolist() == [1.33, 0.25]
    assert fused_score(rows, settings(clip_weight=2.0, ssim_weight=0.0)).round(9).tolist() == [0.72, 0]


@pytest.mark.parametrize("best_of", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_row_order_never_matters(settings: Settings, candidates: pd.DataFrame, strategy: str, best_of: bool) -> None:
    params = settings(strategy=strategy, best_of=best_of)
    expected, _ = rank_candidates(candidates, params)
    for seed in range(5):
        shuffled = candidates.sample(frac=1, random_state=seed)
        assert rank_candidates(shuffled, params)[0].equals(expected)


def test_ties_go_to_the_smaller_key(settings: Settings, candidates: pd.DataFrame) -> None:
    pool, _ = rank_candidates(candidates, settings(best_of=False))
    tied = sorted(candidates["key"][10:13])
    places = pool.set_index("key").loc[tied, "rank"].tolist()
    assert places == list(range(places[0], places[0] + 3))


def test_strategies(settings: Settings, candidates: pd.DataFrame) -> None:
    pools = {name: rank_candidates(candidates, settings(strategy=name, best_of=False))[0] for name in STRATEGIES}
    assert pools["top"]["score"].is_monotonic_decreasing
    assert pools["rear"]["score"].tolist() == pools["top"]["score"].tolist()[::-1]
    assert pools["clip-only"]["clip_cosine"].is_monotonic_decreasing
    assert pools["ssim-only"]["ssim"].is_monotonic_decreasing
    assert all(pool["rank"].tolist() == list(range(29)) for pool in pools.values())
    again = rank_candidates(candidates, settings(strategy="random", best_of=False, seed=1))[0]
    assert again["key"].tolist() != pools["random"]["key"].tolist()
    assert set(again["key"]) == set(pools["random"]["key"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_best_of_lets_one_candidate_of_each_caption_compete(
    settings: Settings, candidates: pd.DataFrame, strategy: str
) -> None:
    pool, lost = rank_candidates(candidates, settings(strategy=strategy))
    assert pool["uid"].is_unique
    assert len(pool) == 10
    assert lost == {"unscored": 1, "beaten": 19}
    everyone, _ = rank_candidates(
        candidates, settings(strategy="top" if strategy == "rear" else strategy, best_of=False)
    )
    assert pool.set_index("uid")["score"].sort_index().equals(everyone.groupby("uid")["score"].max())


def test_counts_add_up_and_too_large_a_k_is_an_error(settings: Settings, candidates: pd.DataFrame) -> None:
    params = settings(k=11)
    pool, lost = rank_candidates(candidates, params)
    assert len(pool) + sum(lost.values()) == len(candidates)
    with pytest.raises(ValueError, match=r"select.k is 11, but only 10 candidates compete; with select.best_of"):
        select_top_k(pool, params)
    with pytest.raises(ValueError, match="only 0 candidates compete"):
        select_top_k(rank_candidates(candidates.assign(ssim=float("nan")), params)[0], params)
