"""Training pairs of the arms, all of one size."""

import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import hash_score, sort_by_score

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

    `scored`: all candidates with scores. `captions`, `rejected`: the caption tables as of read_captions.
    """
    if arm == "selected":
        pairs = selected.assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    elif arm == "random":
        pairs = _random(scored, len(selected), params).assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    else:
        pairs = _real(captions, rejected, len(selected), params).assign(origin="real", shard=None)
        pairs["key"] = pairs["uid"]
        num_kept = int(pairs["kept"].astype(bool).sum())
        counts = {"pairs": len(pairs), "kept": num_kept, "rejected_by_alignment": len(pairs) - num_kept}
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
