"""What a row of the audit is flagged for, and how often that happens in each set of pairs."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from synthpairs.audit.params import Audit

UNREADABLE = "unreadable"
DUPLICATE = "near-duplicate"
PICTURE_BITS, PICTURE_COSINE = "benchmark-picture-hash", "benchmark-picture-cosine"
CAPTION_EXACT, CAPTION_SHARE = "benchmark-caption-exact", "benchmark-caption"
WRITTEN, NSFW = "text", "nsfw"
FLAGS = (UNREADABLE, DUPLICATE, PICTURE_BITS, PICTURE_COSINE, CAPTION_EXACT, CAPTION_SHARE, WRITTEN, NSFW)
SETS = ("candidates", "selected", "real")


def flags_of(row: dict[str, Any], params: Audit) -> list[str]:
    """The flags of one row (as AUDIT, less `flags`) in the order of FLAGS; what was not measured is not flagged."""
    bits, cosine = row["picture_bits"], row["picture_cosine"]
    found = {
        UNREADABLE: row["error"] is not None,
        DUPLICATE: row["group"] is not None,
        PICTURE_BITS: bits is not None and bits <= params.hash_distance,
        PICTURE_COSINE: cosine is not None and params.cosine_min is not None and cosine >= params.cosine_min,
        CAPTION_EXACT: row["caption_exact"],
        CAPTION_SHARE: row["caption_share"] > 0 and row["caption_share"] >= params.caption_share,
        WRITTEN: bool(row["written"]),
        NSFW: row["nsfw"] is not None and params.nsfw is not None and row["nsfw"] >= params.nsfw.min,
    }
    return [flag for flag in FLAGS if found[flag]]


def sets_of(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each of SETS; the selection is a part of the candidates."""
    synthetic = rows["origin"] == "synthetic"
    return {"candidates": rows[synthetic], "selected": rows[rows["selected"]], "real": rows[~synthetic]}


def counted(rows: pd.DataFrame, measured: Sequence[str]) -> dict[str, dict[str, int | None]]:
    """By set: pairs, and how many have each flag; None for flags that are not among the `measured`."""
    told: dict[str, dict[str, int | None]] = {}
    for name, part in sets_of(rows).items():
        flags = part["flags"].explode()
        counts = {flag: int((flags == flag).sum()) if flag in measured else None for flag in FLAGS}
        told[name] = {"pairs": len(part), **counts}
    return told
