"""Pairs that the report shows, and their images as cells of a grid."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.report.analysis import weighted_sum
from synthpairs.report.grids import Cell
from synthpairs.report.results import SynthVLMResults
from synthpairs.selection.params import Select
from synthpairs.selection.training_pairs import generated_images, keyed, originals


def extremes(results: SynthVLMResults, select: Select, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The candidates of highest and of lowest weighted score, best and worst first; at most one per caption in each."""
    rows = results.scores.merge(results.manifest[["key", "text", "shard"]], on="key", validate="one_to_one")
    rows = rows.assign(fused=weighted_sum(rows, select))
    best = rows.sort_values(["fused", "key"], ascending=[False, True]).drop_duplicates("uid")
    worst = rows.sort_values(["fused", "key"]).drop_duplicates("uid")
    return best.head(count), worst.head(count)


def sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` random rows; independent of their order."""
    ordered = rows.sort_values("key", ignore_index=True)
    return ordered.iloc[np.random.default_rng(seed).permutation(len(ordered))[:count]]


def concept_matched(generated: pd.DataFrame, real: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` generated pairs of different captions, each followed by a real one of the same concept where there is one."""
    chosen = sample(generated.sort_values("key").drop_duplicates("uid"), count, seed)
    ordered, rng = real.sort_values("key", ignore_index=True), np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for pair in chosen.to_dict("records"):
        same_concept = ordered[ordered["concept"] == pair["concept"]]
        pool = ordered if same_concept.empty else same_concept
        rows += [pair, pool.iloc[rng.integers(len(pool))].to_dict()]
    return pd.DataFrame(rows, columns=["key", "text", "concept"])


def synthetic_cells(rows: pd.DataFrame, data: Path) -> list[Cell]:
    """Cells of candidates (key, text, shard; with clip_cosine and ssim also a note), images from data/images."""
    images = dict(generated_images(rows, data))
    return [
        Cell(
            image=images.get(row["key"], b""),
            caption=row["text"],
            note=f"CLIP {row['clip_cosine']:.2f} SSIM {row['ssim']:.2f}" if "ssim" in row else "",
        )
        for row in rows.to_dict("records")
    ]


def real_cells(rows: pd.DataFrame, data: Path) -> list[Cell]:
    """Cells of real pairs, images from the captions' originals."""
    images = dict(keyed(originals(data, set(rows["uid"]))))
    return [Cell(image=images.get(row["uid"], b""), caption=row["text"]) for row in rows.to_dict("records")]
