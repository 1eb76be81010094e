"""Measures of sampled pairs: words of the caption, edges, entropy and clutter of the image, SSIM and CLIP cosines."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from skimage.measure import shannon_entropy
from skimage.segmentation import felzenszwalb

from synthpairs.core.images import image_or_error
from synthpairs.core.schema import digest
from synthpairs.core.storage import Slice, WorkStore, read_bytes
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.models.clip import ClipScorer
from synthpairs.runtime.progress import progress
from synthpairs.scoring.params import Scores
from synthpairs.scoring.ssim import self_similarity
from synthpairs.selection.training_pairs import with_pictures

DECIMALS = 6  # as of scores
CHUNK = 128  # pairs whose images are in memory at once
CANNY = (100, 200)  # thresholds of the gradient of 8-bit gray, OpenCV's usual ones
REGIONS = {"scale": 100, "sigma": 0.8, "min_size": 20}  # the segmentation's authors' example values for small images


def measure_pairs(rows: pd.DataFrame, params: Distributions, scores: Scores, data: Path) -> tuple[list[dict], int]:
    """Rows of MEASURES for rows of PAIRS, sorted by key, without unreadable images; and the number from the work store.

    Cosines of candidates equal those of stage `scores`. SSIM depends on the size, so images of all sets get one first.
    """
    clips = {"clip_cosine": ("scores", scores), "other_cosine": ("distributions.other", params.other)}
    scorers = {
        name: ClipScorer(
            section,
            clip.clip,
            clip.pretrained,
            prefix=scores.prefix,
            precision=scores.precision,
            batch=scores.batch_size,
        )
        for name, (section, clip) in clips.items()
        if clip
    }
    inputs = {"ssim": asdict(scores.ssim), "side": params.image_size, "batch": scores.batch_size}
    inputs |= {name: scorer.inputs for name, scorer in scorers.items()}
    columns = {row["key"]: row for row in rows[["key", "concept", "uid", "origin"]].to_dict("records")}
    measured: list[dict] = []
    reused, pairs = 0, with_pictures(rows, data)
    with (
        WorkStore("distributions", digest(inputs)).locked() as store,
        progress("distributions", len(rows), "pairs") as advance,
    ):
        while chunk := list(islice(pairs, CHUNK)):
            name = f"{digest(*((key, text) for key, text, _ in chunk))}.json"
            cells = store.get_json(name, lambda value: all(cell["key"] in columns for cell in value))
            if cells is None:
                cells = store.put_json(name, _measure(chunk, scorers, params, scores))
            else:
                reused += len(cells)
            measured += [columns[cell["key"]] | cell for cell in cells]
            advance(len(chunk))
    return sorted(measured, key=lambda row: row["key"]), reused


def _measure(
    pairs: Sequence[tuple[str, str, Slice | bytes]],
    scorers: dict[str, ClipScorer],
    params: Distributions,
    scores: Scores,
) -> list[dict[str, Any]]:
    decoded = [(key, text, image_or_error(read_bytes(source))) for key, text, source in pairs]
    readable = [(key, text, image) for key, text, image in decoded if not isinstance(image, str)]
    cells: list[dict[str, Any]] = [
        {"key": key, "words": len(text.split())}
        | {"ssim": round(self_similarity(resized(image, params.image_size), scores.ssim), DECIMALS)}
        | {name: round(value, DECIMALS) for name, value in image_measures(image, params.image_size).items()}
        for key, text, image in readable
    ]
    for name, scorer in scorers.items() if readable else ():
        texts = scorer.embed_texts([text for _, text, _ in readable])
        images = scorer.embed_pictures([scorer.view(image) for _, _, image in readable])
        for cell, image, text in zip(cells, images, texts, strict=True):
            cell[name] = round(float(image @ text), DECIMALS)
    return cells


def resized(image: Image.Image, side: int) -> Image.Image:
    """The image at `side` x `side` pixels."""
    return image.resize((side, side), Image.Resampling.BICUBIC)


def image_measures(image: Image.Image, side: int) -> dict[str, float]:
    """IMAGE_MEASURES of an RGB image, resized to `side` x `side` pixels first, so that images of all sizes compare.

    `edge_density` is the share of pixels on an edge (Canny 1986), `entropy` that of the gray levels in bits, from 0 to
    8, `clutter` the number of regions of a graph-based segmentation (Felzenszwalb and Huttenlocher 2004), which follows
    how cluttered people find an image (Bravo and Farid 2008, https://doi.org/10.1167/8.1.23).
    """
    small = resized(image, side)
    gray = np.asarray(small.convert("L"))
    regions = felzenszwalb(np.asarray(small), **REGIONS)
    return {
        "edge_density": float(np.mean(cv2.Canny(gray, *CANNY) > 0)),
        "entropy": float(shannon_entropy(gray)) + 0.0,  # not -0.0
        "clutter": float(len(np.unique(regions))),
    }
