"""Tokens of a VQ tokenizer back to pictures: for people to look at, no stage trains on them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from synthpairs.core.determinism import best_device, threads
from synthpairs.models.vq_tokenizer import load_tokenizer, render


def pictures(tokens: Sequence[np.ndarray], pipeline: Path, key: str) -> list[bytes]:
    """PNGs of token grids [rows, columns] by the tokenizer of the directory that the param `key` names.

    All are one batch. ValueError beyond the codebook.
    """
    vq = load_tokenizer(pipeline, key).to(best_device())
    with threads(1):  # so that no pixel depends on how many cores there are
        levels = render(vq, np.stack(tokens)).mul(255).round().byte()
    return [_png(picture) for picture in levels.permute(0, 2, 3, 1).cpu().numpy()]


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
