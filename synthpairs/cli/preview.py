"""Preview of the current params: images and scores of a few captions, outside the pipeline.

The pipeline's outs are unchanged. Images go to the work store of `images`, so a run with the same params reuses them.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import PAIR_SCORES
from synthpairs.core.storage import read_table, write_bytes
from synthpairs.generation.candidates import CAPTION_COLUMNS
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.grids import grid
from synthpairs.report.samples import synthetic_cells
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import score_images

COLUMNS, SIDE = 6, 192  # of the contact sheet; pixels of an image in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Result of a preview."""

    rows: pd.DataFrame  # of CANDIDATES with PAIR_SCORES, best cosine first
    sheet: Path  # all images in one PNG
    seconds: float  # with loading of models and reuse of images
    generated: int  # images that were not reused


def preview(count: int, images: Images, scores: Scores, data: Path, out: Path) -> Preview:
    """Generate and score the candidates of the first `count` kept captions of `data` by uid, into `out`.

    ValueError for a count below one and for `data` itself as `out`; FileNotFoundError before stage `captions` has run.
    """
    if count < 1:
        raise ValueError(f"a preview needs at least one caption, got {count}")
    if out.resolve() == data.resolve():
        raise ValueError(f"--out {out} would overwrite the pipeline's images and scores: name another folder")
    captions = read_table(data / "captions/kept.parquet", "dvc repro captions", CAPTION_COLUMNS)
    captions = captions.sort_values("uid", ignore_index=True).head(count)
    started = time.monotonic()
    _, volatile = make_images(captions, images, out / "images")
    manifest = read_table(out / "images/manifest.parquet", "python -m synthpairs preview")
    score_images(manifest, replace(scores, max_failed_share=1.0), out / "images", out / "scores")
    seconds = time.monotonic() - started
    scored = read_table(out / "scores/scores.parquet", "python -m synthpairs preview")
    rows = manifest.merge(scored[["key", *PAIR_SCORES]], on="key")
    rows = rows.sort_values(["clip_cosine", "key"], ascending=[False, True], ignore_index=True)
    sheet = out / "preview.png"
    write_bytes(sheet, grid(synthetic_cells(rows, out), COLUMNS, SIDE))
    return Preview(rows=rows, sheet=sheet, seconds=seconds, generated=len(manifest) - volatile["reused"])
