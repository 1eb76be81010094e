"""Training pairs of the arms, all of one size but `all-real`."""

from typing import assert_never

import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import hash_score, sort_by_score
from synthpairs.selection.training_pairs import original_key

ALIGNMENT = "alignment"  # the caption filter by CLIP cosine with the caption's original picture


def make_training_pairs(
    arm: Arm,
    selected: pd.DataFrame,
    scored: pd.DataFrame,
    captions: pd.DataFrame,
    rejected: pd.DataFrame,
    params: Select,
) -> tuple[pd.DataFrame, dict[str, int]]:
    """An arm's training pairs, by key, with the columns of PAIRS among theirs; and their numbers by origin.

    `scored`: all candidates with scores. `captions`, `rejected`: the caption tables as of read_captions, for
    `all-real` with the column `pictured`.
    """
    if arm == "selected":
        pairs = selected.assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    elif arm == "random":
        pairs = _random(scored, len(selected), params).assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    elif arm == "all-real":
        pairs = _all_real(captions, rejected).assign(origin="real", shard=None)
        counts = {"pairs": len(pairs), "rejected": len(pairs) - int(pairs["kept"].astype(bool).sum())}
    elif arm == "real":
        pairs = _real(captions, rejected, len(selected), params).assign(origin="real", shard=None)
        pairs["key"] = pairs["uid"]
        num_kept = int(pairs["kept"].astype(bool).sum())
        counts = {"pairs": len(pairs), "kept": num_kept, "rejected_by_alignment": len(pairs) - num_kept}
    else:
        assert_never(arm)
    return pairs.sort_values("key", ignore_index=True), counts


def _random(scored: pd.DataFrame, size: int, params: Select) -> pd.DataFrame:
    """Candidates regardless of their scores; with `best_of` at most one per caption, as in the selection."""
    order = scored[["key", "uid"]].assign(score=hash_score(scored["key"], params.seed, "arm"))
    order = sort_by_score(order, "ascending")
    if params.best_of:
        order = order.drop_duplicates("uid")
    return scored.loc[order.index[:size]]


def _real(captions: pd.DataFrame, rejected: pd.DataFrame, size: int, params: Select) -> pd.DataFrame:
    """Reference captions with their original pictures: kept ones, then if needed those that only alignment rejected.

    A caption that passed the filters before alignment has a CLIP cosine with its original picture if it has one.
    """
    kept = captions[(captions["source"] == "human") & captions["clip_original"].notna()].assign(kept=True)
    spare = rejected[(rejected["source"] == "human") & (rejected["reason"] == ALIGNMENT)]
    pairs = pd.concat([kept, spare.assign(kept=False)], ignore_index=True)
    pairs["order"] = hash_score(pairs["uid"], params.seed, "arm")
    return pairs.sort_values(["kept", "order", "uid"], ascending=[False, True, True]).head(size)


def _all_real(captions: pd.DataFrame, rejected: pd.DataFrame) -> pd.DataFrame:
    """All reference captions with their original pictures, whatever the filters say of them: LLaVA's pretraining data."""
    pairs = pd.concat([captions.assign(kept=True), rejected.assign(kept=False)], ignore_index=True)
    pairs = pairs[(pairs["source"] == "human") & pairs["pictured"]]
    numbers = pairs.groupby("uid").cumcount()  # equal captions are duplicates for the filters, and different pairs here
    return pairs.assign(key=[original_key(uid, number) for uid, number in zip(pairs["uid"], numbers, strict=True)])
