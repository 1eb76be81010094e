"""From curated captions to data/images: candidates painted by the generator, kept as lossless pictures."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.candidates import make_candidates
from synthpairs.images.generator import Generator
from synthpairs.images.params import Images
from synthpairs.making import Craft


def make_images(captions: pd.DataFrame, params: Images, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, a picture to a sample; returns metrics, tracked and not."""
    if captions.empty:
        raise ValueError("data/captions/kept.parquet holds no caption: loosen the filters in params.yaml (captions)")
    return make_candidates(captions, partial(_craft, Generator, params), out)


def _craft(kind: type[Generator], params: Images) -> Craft:
    generator = kind(params)
    encode = partial(encoded, extension=params.format)
    return Craft(stage="images", noun="picture", generator=generator, make=generator.paint, encode=encode, told={})


def encoded(picture: np.ndarray, extension: str) -> dict[str, bytes]:
    """The picture, values in [0, 1], as a lossless file; ValueError says why it is none."""
    if not np.isfinite(picture).all():
        raise ValueError("the picture holds values that are not finite")
    pixels = (picture * 255).round().astype(np.uint8)  # as diffusers does it
    if (pixels == pixels[0, 0]).all():
        raise ValueError("the picture has one flat colour")
    buffer = io.BytesIO()
    if extension == "webp":
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    return {extension: buffer.getvalue()}
