"""Original images of captions, decoded safely and resized."""

import io
import os
import warnings
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from synthpairs.core.images import decoder_message

MAX_BYTES = 2**26  # of an encoded image, and of any other archive member
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")  # some other formats start programs


def original(cell: Any, folder: Path, side: int) -> bytes | None:
    """The whole image in a row's `image` cell as an RGB PNG, its shorter side at most `side` pixels; None for an empty cell.

    ValueError for a path outside of `folder`, more than MAX_BYTES bytes, more pixels than PIL's MAX_IMAGE_PIXELS, and
    undecodable data.
    """
    if isinstance(cell, dict):  # Hugging Face's Image feature
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
                image.draft("RGB", (2 * side, 2 * side))  # decodes a large JPEG at reduced size
                whole = _on_white(ImageOps.exif_transpose(image))
                scale = min(1.0, side / min(whole.size))
                size = (round(whole.width * scale), round(whole.height * scale))
                small = whole.resize(size, Image.Resampling.LANCZOS)
    except Exception as error:  # PIL's decoders raise many types on broken data
        raise ValueError(f"picture: {decoder_message(error)}") from None
    png = io.BytesIO()
    small.save(png, "PNG")
    return png.getvalue()


def _read(name: str, folder: Path) -> bytes:
    path = Path(os.path.abspath(folder / name))  # without resolving links, which may lead out of the folder
    if not path.is_relative_to(os.path.abspath(folder)):
        raise ValueError(f"picture: {name!r} leads out of {folder}")
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise ValueError(f"picture: {path} is no file of at most {MAX_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:  # for example a name that is too long
        raise ValueError(f"picture: {path}: {error.strerror}") from None


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    background = Image.new("RGBA", image.size, "white")
    background.alpha_composite(image.convert("RGBA"))
    return background.convert("RGB")
