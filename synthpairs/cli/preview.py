"""A few captions through pictures and scores, beside the pipeline: what a setting makes, before all captions are spent on it.

The outs of the pipeline stay as they are. Pictures go to the work store of `images`: a run with the same settings takes them
over.
"""

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.core.storage import read_table, write_bytes
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.grids import grid
from synthpairs.report.samples import synthetic_cells
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import score_images

log = logging.getLogger(__name__)
COLUMNS, SIDE = 6, 192  # of the contact sheet; pixels of a picture in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What came of it: rows of CANDIDATES with clip_cosine and ssim, best cosine first; and the pace."""

    rows: pd.DataFrame
    sheet: Path
    seconds: float  # for all of it, models loaded and pictures that were there already included
    painted: int  # pictures that were not


def preview(count: int, images: Images, scores: Scores, data: Path, out: Path) -> Preview:
    """Paint and score the candidates of `count` kept captions of `data`, the same ones every time, into `out`.

    ValueError for a count below one; FileNotFoundError when captions were not curated yet.
    """
    if count < 1:
        raise ValueError(f"at least one caption is needed for a preview, got {count}")
    captions = read_table(data / "captions/kept.parquet", "dvc repro captions").sort_values("uid").head(count)
    started = time.monotonic()
    _, volatile = make_images(captions.reset_index(drop=True), images, out / "images")
    manifest = read_table(out / "images/manifest.parquet", "python -m synthpairs preview")
    score_images(manifest, replace(scores, max_failed_share=1.0), out / "images", out / "scores")
    seconds = time.monotonic() - started
    measured = read_table(out / "scores/scores.parquet", "python -m synthpairs preview")
    rows = manifest.merge(measured[["key", "clip_cosine", "ssim"]], on="key")
    rows = rows.sort_values(["clip_cosine", "key"], ascending=[False, True], ignore_index=True)
    sheet = out / "preview.png"
    write_bytes(sheet, grid(synthetic_cells(rows, out), COLUMNS, SIDE))
    return Preview(rows=rows, sheet=sheet, seconds=seconds, painted=len(manifest) - volatile["reused"])
