"""Decoding of image files, those from outside and broken ones included."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageOps

from synthpairs.core.errors import error_line
from synthpairs.core.tar import MAX_BYTES

T = TypeVar("T")
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # some other formats start programs
_WHITE = (1.0, 255.0, 65535.0)  # what stands for white in pictures of 32-bit numbers
MAX_PIXELS = 2**26  # an animated WebP takes 20 bytes of memory for each
FORMATS = ("png", "webp", "jpg")  # of stored images, by the endings of their files


def decode_image(payload: bytes, side: int | None = None) -> Image.Image:
    """The RGB image of an encoded picture, turned as its EXIF says; ValueError with a reproducible one-line message.

    A picture of more than MAX_PIXELS is an error. A large JPEG is decoded at reduced size, of at least 2 * `side`.
    """
    try:
        if not payload:
            raise ValueError("0 bytes")
        with Image.open(io.BytesIO(payload), formats=_FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} pixels")
            if side is not None:
                image.draft("RGB", (2 * side, 2 * side))
            image.load()
            with contextlib.suppress(Exception):  # a broken EXIF block, of a picture that is whole
                ImageOps.exif_transpose(image, in_place=True)
            return to_rgb(image)
    except Exception as error:  # decoders raise all kinds of errors on broken files
        raise ValueError(error_line(error)) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as RGB: transparent pixels on white, numbers of more than 8 bits scaled to 0..255.

    Black is 0. White is 65535 in a 16-bit picture; in one of 32-bit integers or floats the first of 1, 255 and 65535 that
    no value exceeds, else the greatest value.
    """
    if image.mode[0] in "IF":  # PIL's own conversion cuts them off at 255
        image = _scaled(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image if image.mode == "RGBA" else image.convert("RGBA")  # that would copy it
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def _scaled(image: Image.Image) -> Image.Image:
    values = np.array(image, np.float32)
    np.nan_to_num(values, copy=False, posinf=0, neginf=0)
    np.maximum(values, 0, out=values)
    greatest = 65535.0 if image.mode.startswith("I;16") else float(values.max())
    values *= 255 / next((white for white in _WHITE if greatest <= white), greatest)
    return Image.fromarray((values + 0.5).astype(np.uint8))


def image_member(members: Mapping[str, T]) -> T | None:
    """The encoded image among a sample's files by extension; None if there is none."""
    return next(filter(None, map(members.get, FORMATS)), None)


def image_or_error(payload: bytes | None) -> Image.Image | str:
    """The RGB image, or the error message."""
    if payload is None:
        return "there is no picture under this key"
    try:
        return decode_image(payload)
    except ValueError as error:
        return str(error)


def read_picture(path: Path) -> bytes:
    """Bytes of a picture's file; ValueError or OSError for none, a pipe, or one of more than MAX_BYTES."""
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is no file of at most {MAX_BYTES} bytes")
    return path.read_bytes()
