"""From curated captions to data/images: candidates painted by the generator, kept as lossless pictures."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.candidates import Craft, make_candidates
from synthpairs.images.generator import Generator
from synthpairs.images.marking import SOURCE_TYPE, mark
from synthpairs.images.params import Images


def make_images(captions: pd.DataFrame, params: Images, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, a picture to a sample; returns metrics, tracked and not."""
    if captions.empty:
        raise ValueError("data/captions/kept.parquet holds no caption: loosen the filters in params.yaml (captions)")
    generator = Generator(params)
    craft = Craft(
        stage="images",
        noun="picture",
        generator=generator,
        make=generator.paint,
        encode=partial(encoded, extension=params.format, marked=params.mark),
        told={},
        added={"mark": SOURCE_TYPE} if params.mark else {},
    )
    return make_candidates(captions, craft, out)


def encoded(picture: np.ndarray, extension: str, marked: bool) -> dict[str, bytes]:
    """The picture, values in [0, 1], as a lossless file, marked as made by a model or not; ValueError says why it is none."""
    if not np.isfinite(picture).all():
        raise ValueError("the picture holds values that are not finite")
    pixels = (picture * 255).round().astype(np.uint8)  # as diffusers does it
    if (pixels == pixels[0, 0]).all():
        raise ValueError("the picture has one flat colour")
    buffer, options = io.BytesIO(), mark(extension) if marked else {}
    if extension == "webp":
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, **options)
    else:
        Image.fromarray(pixels).save(buffer, "PNG", **options)
    return {extension: buffer.getvalue()}
