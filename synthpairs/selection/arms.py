"""Arms: training sets of one size whose models are compared with each other."""

import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import hash_score, ordered

ALIGNMENT = "alignment"  # the caption filter that compares a caption with its original picture


def make_arm(
    arm: Arm, selected: pd.DataFrame, pool: pd.DataFrame, captions: pd.DataFrame, rejected: pd.DataFrame, params: Select
) -> tuple[pd.DataFrame, dict[str, int]]:
    """An arm's pairs (rows as in PAIRS, ordered by key) and how many there are, by where they come from.

    `selected`: the selection. `pool`: all candidates that have scores. `captions` and `rejected`: the caption tables,
    with `pictured` saying whether a row has an original picture.
    """
    if arm == "selected":
        pairs = selected.assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    elif arm == "random":
        pairs = _random(pool, len(selected), params).assign(origin="synthetic")
        counts = {"pairs": len(pairs)}
    else:
        pairs = _real(captions, rejected, len(selected), params).assign(origin="real", shard=None)
        pairs["key"] = pairs["uid"]
        left_out = int((~pairs["kept"].astype(bool)).sum())
        counts = {"pairs": len(pairs), "kept": len(pairs) - left_out, "rejected_by_alignment": left_out}
    return pairs.sort_values("key", ignore_index=True), counts


def _random(pool: pd.DataFrame, size: int, params: Select) -> pd.DataFrame:
    """As many of the same candidates without regard to scores; with `best_of` one, any one, per caption here too."""
    order = pool[["key", "uid"]].assign(score=hash_score(pool["key"], params.seed, "arm"))
    order = ordered(order, "ascending")
    if params.best_of:
        order = order.drop_duplicates("uid")
    return pool.loc[order.index[:size]]


def _real(captions: pd.DataFrame, rejected: pd.DataFrame, size: int, params: Select) -> pd.DataFrame:
    """As many reference captions with their originals; when too few were kept, also those that only alignment rejected.

    Where there are fewer than asked for, all of them.
    """
    kept = captions[(captions["source"] == "human") & captions["pictured"]].assign(kept=True)
    spare = rejected[(rejected["source"] == "human") & rejected["pictured"] & (rejected["reason"] == ALIGNMENT)]
    pairs = pd.concat([kept, spare.assign(kept=False)], ignore_index=True)
    pairs["order"] = hash_score(pairs["uid"], params.seed, "arm")
    return pairs.sort_values(["kept", "order", "uid"], ascending=[False, True, True]).head(size)
