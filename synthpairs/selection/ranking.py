"""Ranking candidates. The result depends on keys and scores alone, never on the order of the rows."""

import pandas as pd

from synthpairs.schema import digest
from synthpairs.selection.params import Select


def fused_score(candidates: pd.DataFrame, params: Select) -> pd.Series:
    """The weighted score of the paper's selection step; NaN where a score is missing."""
    clip = params.clip_scale * candidates["clip_cosine"].clip(lower=0)
    return params.clip_weight * clip + params.ssim_weight * candidates["ssim"]


def hash_score(keys: pd.Series, seed: int, purpose: str) -> pd.Series:
    """A number in [0, 1) for each key that looks random; another seed or purpose gives an unrelated one."""
    return keys.map(lambda key: int(digest(purpose, seed, key)[:13], 16) / 16**13).astype("float64")


def rank_candidates(candidates: pd.DataFrame, params: Select) -> tuple[pd.DataFrame, dict[str, int]]:
    """The competing candidates, best first, with `score` and `rank`; and how many did not compete, by reason.

    `candidates` has `key`, `uid`, `clip_cosine` and `ssim`. `rear` ranks by the fused score from its other end, and
    still lets the best candidate of a caption compete. Ties go to the smaller key.
    """
    scored = candidates.dropna(subset=["clip_cosine", "ssim"])
    if params.strategy == "clip-only":
        score = scored["clip_cosine"]
    elif params.strategy == "ssim-only":
        score = scored["ssim"]
    elif params.strategy == "random":
        score = hash_score(scored["key"], params.seed, "strategy")
    else:
        score = fused_score(scored, params)
    pool = scored.assign(score=score).sort_values(["score", "key"], ascending=[False, True])
    if params.best_of:
        pool = pool.drop_duplicates("uid")
    if params.strategy == "rear":
        pool = pool.sort_values(["score", "key"])
    pool = pool.reset_index(drop=True)
    pool["rank"] = pool.index
    return pool, {"unscored": len(candidates) - len(scored), "beaten": len(scored) - len(pool)}


def select_top_k(pool: pd.DataFrame, params: Select) -> pd.DataFrame:
    """The first K of the ranked pool; ValueError when it holds fewer."""
    if len(pool) < params.k:
        hint = "; with select.best_of each caption counts once" if params.best_of else ""
        raise ValueError(
            f"params.yaml: select.k is {params.k}, but only {len(pool)} candidates compete{hint}: lower it, "
            "or raise images.candidates or the number of captions"
        )
    return pool.head(params.k)
