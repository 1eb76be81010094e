"""Tokens of a VQ tokenizer back to pictures: for people to look at, no stage trains on them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from synthpairs.inference import best_device, threads
from synthpairs.realpairs.encoding import load_tokenizer


@torch.inference_mode()
def pictures(tokens: Sequence[np.ndarray], pipeline: Path) -> list[bytes]:
    """PNGs of token grids [rows, columns] by the tokenizer of an AmusedPipeline directory; ValueError beyond its codebook.

    All are one batch. aMUSEd's VQ model answers in [0, 1]; another range stands as `pixel_range` in its configuration.
    """
    vq = load_tokenizer(pipeline)
    grids = np.stack(tokens)
    if grids.max() >= vq.config.num_vq_embeddings:
        raise ValueError(f"token {grids.max()} lies beyond the codebook of {vq.config.num_vq_embeddings} of {pipeline}")
    low, high = vq.config.get("pixel_range", (0.0, 1.0))
    codes = torch.from_numpy(grids.astype(np.int64)).to(best_device())
    with threads(1):  # so that no pixel depends on how many cores there are
        pixels = vq.decoder(vq.post_quant_conv(vq.quantize.embedding(codes).permute(0, 3, 1, 2)))
    levels = ((pixels - low) / (high - low)).clamp(0, 1).mul(255).round().byte()
    return [_png(picture) for picture in levels.permute(0, 2, 3, 1).cpu().numpy()]


def _png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()
