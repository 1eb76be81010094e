"""What a selection by each score prefers, and its stability under resampled captions and another CLIP."""

from dataclasses import replace
from typing import Any

import pandas as pd

from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.results import DECIMALS, MEASURES, concept_numbers, spearman, standardised
from synthpairs.selection.params import Select, Strategy
from synthpairs.selection.ranking import rank_candidates
from synthpairs.selection.stability import stability

STRATEGIES: tuple[Strategy, ...] = ("top", "clip-only", "ssim-only")


def rankings(pool: pd.DataFrame, share: float, select: Select, params: Distributions) -> dict[str, Any]:
    """{strategies, cosines} of selections that take a share of `pool`, rows of MEASURES of candidates.

    By strategy: `k`, the number taken, at least 1; `standardised`, the distance of the means of those taken from all
    candidates', in standard deviations; `stability` (see synthpairs.selection.stability); `other_clip`, the share that
    a selection by the second CLIP's cosines takes too, null without one; `chance`, that share for random selections.
    `cosines` is the rank correlation of both CLIPs' cosines.
    """
    k = max(1, min(len(pool), round(share * len(pool))))
    other = "other_cosine" in pool
    strategies = {}
    for strategy in STRATEGIES:
        strategy_select = replace(select, strategy=strategy, num_pairs=k)
        ranked, _ = rank_candidates(pool, strategy_select)
        selected = ranked.head(strategy_select.num_pairs)
        strategies[strategy] = {
            "k": len(selected),
            "chance": round(len(selected) / len(ranked), DECIMALS),
            "concepts": concept_numbers(selected["concept"]),
            "standardised": standardised(selected, pool, MEASURES),
            "stability": round(stability(pool, strategy_select), DECIMALS),
            "other_clip": _kept_by_other_clip(pool, set(selected["key"]), strategy_select) if other else None,
        }
    return {
        "strategies": strategies,
        "cosines": spearman(pool, "clip_cosine", "other_cosine", params) if other else None,
    }


def _kept_by_other_clip(pool: pd.DataFrame, selected: set[str], select: Select) -> float:
    again = rank_candidates(pool.assign(clip_cosine=pool["other_cosine"]), select)[0].head(select.num_pairs)
    return round(len(selected & set(again["key"])) / len(selected), DECIMALS)
