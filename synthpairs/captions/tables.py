"""Caption tables: those that were invented, read for curation, and what curation made of any, written."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from synthpairs.captions.curation import Curated, Tally
from synthpairs.captions.models import Models
from synthpairs.captions.record import Caption
from synthpairs.schema import BLIP_ITM, CAPTIONS, REJECTED
from synthpairs.storage import TableWriter, write_json


def invented_captions(table: pd.DataFrame) -> list[Caption]:
    """What `invent` kept, from its table, in the table's order."""
    kept = table[table["status"] == "kept"]
    return [
        Caption(text=text, source=source, concept=concept)
        for text, source, concept in zip(kept["text"], kept["source"], kept["concept"], strict=True)
    ]


def write_outcome(curated: Curated, models: Models, out: Path, metrics_file: Path) -> dict[str, Any]:
    """Write `out`/kept.parquet and rejected.parquet, ordered by uid, and the counts, which are returned."""
    blip = models.blip is not None
    tally = Tally(blip)
    with (
        TableWriter(out / "kept.parquet", _with_blip(CAPTIONS, blip)) as kept,
        TableWriter(out / "rejected.parquet", _with_blip(REJECTED, blip)) as rejected,
    ):
        for caption in curated:
            tally.add(caption)
            (kept if caption.reason is None else rejected).add(caption.row())
        metrics = tally.metrics() | ({"hub": models.hub} if models.hub else {})
    write_json(metrics_file, metrics)
    return metrics


def _with_blip(schema: pa.Schema, blip: bool) -> pa.Schema:
    return schema.insert(schema.get_field_index("clip_original") + 1, BLIP_ITM.field(0)) if blip else schema
