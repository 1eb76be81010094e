"""Caption tables: reading class-prompted captions, and writing filtered captions with their counts."""

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from synthpairs.captions.filtering import Filtered
from synthpairs.captions.models import Models
from synthpairs.captions.record import MEASURES, Caption
from synthpairs.core.schema import BLIP_ITM, CAPTIONS, REJECTED
from synthpairs.core.storage import TableWriter


def kept_class_captions(table: pd.DataFrame) -> list[Caption]:
    """The captions that the stage `class_captions` kept, in the order of its table."""
    kept = table[table["status"] == "kept"]
    return [
        Caption(text=text, source=source, concept=concept)
        for text, source, concept in zip(kept["text"], kept["source"], kept["concept"], strict=True)
    ]


def write_filtered(curated: Filtered, models: Models, out: Path) -> dict[str, Any]:
    """Write `out`/kept.parquet and rejected.parquet, ordered by uid; returns the metrics."""
    blip = models.blip is not None
    noise: defaultdict[str, Counter[str]] = defaultdict(lambda: Counter(read=0, kept=0))
    with (
        TableWriter(out / "kept.parquet", _with_blip(CAPTIONS, blip)) as kept,
        TableWriter(out / "rejected.parquet", _with_blip(REJECTED, blip)) as rejected,
    ):
        for caption in curated.captions:
            (kept if caption.reason is None else rejected).add(caption.row())
            if caption.noise:
                noise[caption.noise].update(read=1, kept=caption.reason is None)
    metrics = _counts(out, blip) | {"noise": {kind: dict(counts) for kind, counts in noise.items()}}
    if models.hub:
        metrics["hub"] = models.hub
    return metrics


def _with_blip(schema: pa.Schema, blip: bool) -> pa.Schema:
    return schema.insert(schema.get_field_index("clip_original") + 1, BLIP_ITM.field(0)) if blip else schema


def _counts(out: Path, blip: bool) -> dict[str, Any]:
    """By source: captions read, kept, rejected by filter, and kept without an original; medians of the kept ones."""
    measures = [*MEASURES, *BLIP_ITM.names] if blip else [*MEASURES]
    kept = pd.read_parquet(out / "kept.parquet", columns=["source", "concept", *measures])
    rejected = pd.read_parquet(out / "rejected.parquet", columns=["source", "reason"])
    groups = kept.assign(skipped=kept["clip_original"].isna()).groupby("source")  # no original
    counts = groups.agg(kept=("concept", "size"), concepts=("concept", "nunique"), skipped=("skipped", "sum"))
    rows = counts.to_dict("index")
    medians = groups[measures].median().to_dict("index")
    reasons: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (source, reason), count in rejected.value_counts().items():
        reasons[source][reason] = int(count)
    sources: dict[str, Any] = {}
    for source in sorted({*kept["source"], *rejected["source"]}):
        row = rows.get(source, {"kept": 0, "concepts": 0, "skipped": 0})
        sources[source] = {
            "read": row["kept"] + sum(reasons[source].values()),
            "kept": row["kept"],
            "kept_concepts": row["concepts"],
            "alignment_skipped": row["skipped"],
            "rejected": dict(sorted(reasons[source].items())),
            "median": {name: _rounded(medians.get(source, {}).get(name)) for name in measures},
        }
        if blip:
            sources[source]["blip_skipped"] = row["skipped"]
    return {"kept_total": len(kept), "source": sources}


def _rounded(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, 4)
