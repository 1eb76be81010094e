"""Ranking candidates. The result depends on keys and scores alone, never on the order of the rows."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthpairs.selection.params import Select


def fused_score(candidates: pd.DataFrame, params: Select) -> pd.Series:
    """The weighted score of the paper's selection step; NaN where a score is missing.

    With `fusion: zscore` each score's distance from its mean over the candidates counts, in standard deviations, 0 when
    nothing varies; with `rank` its rank over the number of candidates, in (0, 1] from the lowest, the mean rank for ties.
    """
    clip, ssim = params.clip_scale * candidates["clip_cosine"].clip(lower=0), candidates["ssim"]
    if params.fusion == "zscore":
        clip, ssim = _zscore(clip), _zscore(ssim)
    elif params.fusion == "rank":
        clip, ssim = clip.rank(pct=True), ssim.rank(pct=True)
    return params.clip_weight * clip + params.ssim_weight * ssim


def _zscore(values: pd.Series) -> pd.Series:
    """Mean and deviation are taken in order of size: the order of the rows would show in their last bits."""
    ordered = np.sort(values.dropna().to_numpy())
    if not len(ordered) or ordered[0] == ordered[-1]:
        return values * 0.0
    return (values - ordered.mean()) / ordered.std()


def hash_score(keys: pd.Series, seed: int, purpose: str) -> pd.Series:
    """A number in [0, 1) for each key or uid that looks random; another seed or purpose gives an unrelated one.

    It is the start of schema.digest(purpose, seed, key), whose JSON is spelled out: keys are hexadecimal digits, and for
    a million of them an encoder each takes three quarters of the time.
    """
    begun = hashlib.sha256(f'["{purpose}",{seed},"'.encode())

    def number(key: str) -> float:
        total = begun.copy()
        total.update(f'{key}"]'.encode())
        return int(total.hexdigest()[:13], 16) / 16**13

    return pd.Series([number(key) for key in keys], keys.index, "float64")


def rank_candidates(candidates: pd.DataFrame, params: Select) -> tuple[pd.DataFrame, dict[str, int]]:
    """The competing candidates, best first, with `score` and `rank`; and how many did not compete, by reason.

    `candidates` has `key`, `uid`, `concept`, `clip_cosine` and `ssim`. `rear` ranks by the fused score from its other end, and
    still lets the best candidate of a caption compete. Ties go to the smaller key. With `per_concept` the first so many of each
    concept compete, as MetaCLIP caps what a word brings (https://arxiv.org/abs/2309.16671), though by rank where it draws lots;
    the others are `crowded_out`. What names no concept is not capped.
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
    pool = ordered(scored.assign(score=score), "descending")
    if params.best_of:
        pool = pool.drop_duplicates("uid")
    if params.strategy == "rear":
        pool = ordered(pool, "ascending")
    lost = {"unscored": len(candidates) - len(scored), "beaten": len(scored) - len(pool)}
    if params.per_concept is not None:
        capped = pool[(pool.groupby("concept", dropna=False).cumcount() < params.per_concept) | pool["concept"].isna()]
        lost["crowded_out"], pool = len(pool) - len(capped), capped
    pool = pool.reset_index(drop=True)
    pool["rank"] = pool.index
    return pool, lost


def ordered(rows: pd.DataFrame, direction: str) -> pd.DataFrame:
    """Rows by score, ties by key. pandas sorts two columns by way of categories, seven times as slow for a million rows."""
    columns = pa.table({"score": rows["score"], "key": rows["key"]})
    return rows.take(pc.sort_indices(columns, sort_keys=[("score", direction), ("key", "ascending")]).to_numpy())


def select_top_k(pool: pd.DataFrame, params: Select) -> pd.DataFrame:
    """The first K of the ranked pool, or all of it where it holds fewer."""
    return pool.head(params.k)
