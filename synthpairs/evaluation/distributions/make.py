"""Distributions of synthetic and real pairs: draw pairs, measure them, compute the results."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from synthpairs.core.schema import MEASURES
from synthpairs.core.storage import read_table, write_table
from synthpairs.evaluation.distributions.measure import measure_pairs
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.rankings import rankings
from synthpairs.evaluation.distributions.results import (
    against_real,
    captions_with_both,
    describe,
    preferences,
    same_caption_differences,
)
from synthpairs.evaluation.distributions.sets import draw_sets
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select

TABLE = "measures.parquet"


def make_distributions(
    params: Distributions, scores: Scores, select: Select, data: Path, out: Path
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, float]]:
    """Write `out`/measures.parquet; return results, the measures of each set's pairs (column `set`), volatile metrics.

    ValueError when no candidate's image can be read, or when images would be measured smaller than SSIM's small version.
    """
    if params.image_size <= scores.ssim.downscale_to:
        raise ValueError(
            f"params.yaml: distributions.image_size must be above scores.ssim.downscale_to, {scores.ssim.downscale_to}, "
            f"got {params.image_size}"
        )
    sets = draw_sets(data, params.count, params.seed)
    rows, reused = measure_pairs(sets.rows, params, scores, data)
    write_table(out / TABLE, [{"other_cosine": None} | row for row in rows], MEASURES)
    table = pd.DataFrame(rows, columns=[name for name in MEASURES.names if params.other or name != "other_cosine"])
    parts = {name: sets.of(name, table) for name in sets.keys}
    if parts["candidates"].empty:
        raise ValueError(
            "distributions: no candidate's image can be read; see data/contamination/contamination.parquet"
        )
    scored = read_table(data / "scores/scores.parquet", "dvc repro scores")[["key", "ssim"]]
    pool = (
        parts["candidates"].drop(columns="ssim").merge(scored, on="key")
    )  # with the SSIM that rankings go by, at full size
    candidates = pq.read_metadata(data / "images/manifest.parquet").num_rows
    results = {
        "candidates": candidates,
        "unreadable": len(sets.rows) - len(rows),
        "sets": describe(table, sets),
        "against_real": against_real(table, sets, params),
        "captions_with_both": len(captions_with_both(table, sets)),
        "coupled": same_caption_differences(table, sets, params),
        "preferences": preferences(pool, params),
        "rankings": rankings(pool, select.num_pairs / candidates, select, params),
        "other": None if params.other is None else params.other.clip,
    }
    measures = pd.concat([part.assign(set=name) for name, part in parts.items()], ignore_index=True)
    return results, measures, {"reused": reused}
