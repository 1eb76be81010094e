"""Measuring the chosen pairs: caption, picture, and both together, by the scorer of `scores` and by a second CLIP."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from synthpairs.core.images import image_or_error
from synthpairs.core.schema import digest
from synthpairs.core.storage import Slice, WorkStore, read_bytes
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.evaluation.distributions.pictures import picture_measures
from synthpairs.models.clip import ClipScorer
from synthpairs.runtime.progress import progress
from synthpairs.scoring.params import Scores
from synthpairs.scoring.ssim import self_similarity
from synthpairs.selection.pairs import with_pictures

DECIMALS = 6  # as of scores
TOGETHER = 128  # pairs whose pictures are in memory at once


def measure(rows: pd.DataFrame, params: Distributions, scores: Scores, data: Path) -> tuple[list[dict], int]:
    """Rows of MEASURES for rows of PAIRS, by key, and how many were measured before; an unreadable picture's is left out.

    Candidates get the very numbers that the stage `scores` gave them.
    """
    clips = {"clip_cosine": ("scores", scores), "other_cosine": ("distributions.other", params.other)}
    scorers = {
        name: ClipScorer(
            section, clip.clip, clip.pretrained, prefix=scores.prefix, precision=scores.precision, batch=scores.batch
        )
        for name, (section, clip) in clips.items()
        if clip
    }
    inputs = {"ssim": asdict(scores.ssim), "side": params.side, "batch": scores.batch}
    inputs |= {name: scorer.inputs for name, scorer in scorers.items()}
    known = {row["key"]: row for row in rows[["key", "concept", "uid", "origin"]].to_dict("records")}
    measured: list[dict] = []
    reused, pictures = 0, with_pictures(rows, data)
    with (
        WorkStore("distributions", digest(inputs)).locked() as store,
        progress("distributions", len(rows), "pairs") as advance,
    ):
        while pairs := list(islice(pictures, TOGETHER)):
            piece = f"{digest(*((key, text) for key, text, _ in pairs))}.json"
            stored = store.get(piece)
            if stored is None:
                cells = _measured(pairs, scorers, params, scores)
                store.put(piece, json.dumps(cells).encode())
            else:
                cells = json.loads(stored)
                reused += len(cells)
            measured += [known[cell["key"]] | cell for cell in cells]
            advance(len(pairs))
    return sorted(measured, key=lambda row: row["key"]), reused


def _measured(
    pairs: Sequence[tuple[str, str, Slice | bytes]],
    scorers: dict[str, ClipScorer],
    params: Distributions,
    scores: Scores,
) -> list[dict[str, Any]]:
    opened: list[tuple[str, str, Image.Image]] = []
    for key, text, where in pairs:
        picture = image_or_error(read_bytes(where))
        if not isinstance(picture, str):  # what is wrong with it, of which `audit` tells
            opened.append((key, text, picture))
    cells: list[dict[str, Any]] = [
        {"key": key, "words": len(text.split())}
        | {"ssim": round(self_similarity(picture, scores.ssim), DECIMALS)}
        | {name: round(value, DECIMALS) for name, value in picture_measures(picture, params.side).items()}
        for key, text, picture in opened
    ]
    for name, scorer in scorers.items() if opened else ():
        texts = scorer.embed_texts([text for _, text, _ in opened])
        views = scorer.embed_pictures([scorer.view(picture) for _, _, picture in opened])
        for cell, one, other in zip(cells, views, texts, strict=True):
            cell[name] = round(float(one @ other), DECIMALS)
    return cells
