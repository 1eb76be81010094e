"""Caption tables: those that were invented, read for curation, and what curation made of any, written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.captions.curation import tally
from synthpairs.captions.record import Caption
from synthpairs.schema import CAPTIONS, REJECTED
from synthpairs.storage import write_json, write_table


def invented_captions(table: pd.DataFrame) -> list[Caption]:
    """What `invent` kept, from its table, in the table's order."""
    kept = table[table["status"] == "kept"]
    return [
        Caption(text=text, source=source, concept=concept)
        for text, source, concept in zip(kept["text"], kept["source"], kept["concept"], strict=True)
    ]


def write_outcome(captions: Sequence[Caption], out: Path, metrics_file: Path) -> dict[str, Any]:
    """Write `out`/kept.parquet and rejected.parquet, ordered by uid, and the counts, which are returned.

    ValueError when nothing is kept.
    """
    metrics = tally(captions)
    rows = [caption.row() for caption in sorted(captions, key=lambda caption: caption.uid)]
    kept = [row for row in rows if row["reason"] is None]
    if not kept:
        raise ValueError(f"{out}: every caption was rejected; widen params.yaml: captions.limits")
    write_table(out / "kept.parquet", kept, CAPTIONS)
    write_table(out / "rejected.parquet", [row for row in rows if row["reason"] is not None], REJECTED)
    write_json(metrics_file, metrics)
    return metrics
