"""VQ tokens to pictures, for the report alone."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from synthpairs.core.determinism import best_device, torch_threads
from synthpairs.models.vq_tokenizer import load_tokenizer, render, tokenizer_folder


def pictures(tokens: Sequence[np.ndarray], pipeline: str, key: str) -> list[bytes]:
    """PNGs of token grids [rows, columns], decoded in one batch by the tokenizer of the pipeline that the param `key` names.

    ValueError for tokens beyond the codebook.
    """
    vq = load_tokenizer(tokenizer_folder(pipeline, key), f"params.yaml: {key}").to(best_device())
    with torch_threads(1):  # pixels must not depend on the number of cores
        levels = render(vq, np.stack(tokens)).mul(255).round().byte()
    pngs = []
    for picture in levels.permute(0, 2, 3, 1).cpu().numpy():
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        pngs.append(buffer.getvalue())
    return pngs
