"""What a selection by each score takes, and how much of it stays when captions are drawn anew or another CLIP is asked."""

from dataclasses import replace
from typing import Any

import pandas as pd

from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.results import MEASURES, PLACES, concept_numbers, spearman, standardised
from synthpairs.selection.params import Select, Strategy
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.selection.stability import stability

STRATEGIES: tuple[Strategy, ...] = ("top", "clip-only", "ssim-only")


def rankings(pool: pd.DataFrame, share: float, select: Select, params: Distributions) -> dict[str, Any]:
    """{strategy: numbers} of selections that take this share of `pool`, rows of MEASURES of candidates.

    `k`: how many that are, at least one. `standardised`: how far their means lie from all candidates', in standard deviations;
    `stability` as synthpairs.selection.stability has it; `other_clip`: the share of them that is taken again with the second
    CLIP's cosines, null without one; `chance`: what that share would be by chance.
    """
    k = max(1, min(len(pool), round(share * len(pool))))
    result = {}
    for strategy in STRATEGIES:
        chosen = replace(select, strategy=strategy, k=k)
        competing, _ = rank_candidates(pool, chosen)
        taken = select_top_k(competing, chosen)
        result[strategy] = {
            "k": len(taken),
            "chance": round(len(taken) / len(competing), PLACES),
            "concepts": concept_numbers(taken["concept"]),
            "standardised": standardised(taken, pool, MEASURES),
            "stability": round(stability(pool, chosen), PLACES),
            "other_clip": _kept(pool, set(taken["key"]), chosen) if "other_cosine" in pool else None,
        }
    agreement = spearman(pool, "clip_cosine", "other_cosine", params) if "other_cosine" in pool else None
    return {"strategies": result, "cosines": agreement}


def _kept(pool: pd.DataFrame, taken: set[str], select: Select) -> float:
    again = select_top_k(rank_candidates(pool.assign(clip_cosine=pool["other_cosine"]), select)[0], select)
    return round(len(taken & set(again["key"])) / len(taken), PLACES)
