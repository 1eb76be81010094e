"""The pictures that come with captions, made as small as the stage's own originals."""

import io
import os
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from synthpairs.core.images import decoder_message

LARGEST = 2**26  # bytes of an encoded picture, and of whatever else is read at once
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # of the others some start programs


def original(cell: Any, folder: Path, side: int) -> bytes | None:
    """The picture of a row's `image` as an RGB PNG of `side` x `side` pixels, cut to its central square; None without one.

    ValueError when it cannot be had: outside of `folder`, more than LARGEST bytes, more pixels than PIL's
    MAX_IMAGE_PIXELS, or broken.
    """
    if isinstance(cell, dict):  # as Hugging Face's Image feature stores it
        cell = cell.get("bytes") or cell.get("path")
    if not cell:
        return None
    payload = _read(cell, folder) if isinstance(cell, str) else cell
    if not isinstance(payload, bytes):
        raise ValueError(f"a picture must be encoded bytes or a path, got {type(payload).__name__}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(payload), formats=_FORMATS) as image:
                image.draft("RGB", (2 * side, 2 * side))  # of a large JPEG only what is needed is decoded
                small = ImageOps.fit(_on_white(ImageOps.exif_transpose(image)), (side, side), Image.Resampling.LANCZOS)
    except Exception as error:  # on broken data PIL's decoders raise nearly anything
        raise ValueError(f"picture: {decoder_message(error)}") from None
    png = io.BytesIO()
    small.save(png, "PNG")
    return png.getvalue()


def _read(name: str, folder: Path) -> bytes:
    path = Path(os.path.abspath(folder / name))  # by its name alone: a link within the folder may lead anywhere
    if not path.is_relative_to(os.path.abspath(folder)):
        raise ValueError(f"picture: {name!r} leads out of {folder}")
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise ValueError(f"picture: {path} is no file of at most {LARGEST} bytes")
        return path.read_bytes()
    except OSError as error:  # a name that is too long, say
        raise ValueError(f"picture: {path}: {error.strerror}") from None


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("RGB")
