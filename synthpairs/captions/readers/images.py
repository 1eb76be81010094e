"""Original images of captions, decoded safely and resized."""

import io
import os
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from synthpairs.core.images import decode_image, read_picture

_JPEGS = ("JPEG", "MPO")  # MPO: those of some phones, with more images behind the first


def original(cell: Any, folder: Path, side: int) -> bytes | None:
    """The whole image in a row's `image` cell, its shorter side at most `side` pixels; None for an empty cell.

    A JPEG that is upright and no larger keeps its bytes, others stay JPEGs; all other images become RGB PNGs.

    ValueError for a path outside of `folder`, more than MAX_BYTES bytes, more than MAX_PIXELS pixels, and
    undecodable data, such as 0 bytes.
    """
    if isinstance(cell, dict) and not cell.keys().isdisjoint(("bytes", "path")):  # Hugging Face's Image feature
        cell = cell.get("path") if cell.get("bytes") is None else cell["bytes"]
    if cell is None or cell == "":
        return None
    payload = _read(cell, folder) if isinstance(cell, str) else cell
    if not isinstance(payload, bytes):
        kind = type(payload).__name__
        raise ValueError(f"a picture must be encoded bytes, a path or a mapping with bytes or path, got {kind}")
    try:
        whole = decode_image(payload, side)
    except ValueError as error:
        raise ValueError(f"picture: {error}") from None
    with Image.open(io.BytesIO(payload)) as image:
        jpeg = image.format in _JPEGS
        kept = jpeg and image.mode in ("RGB", "L") and min(image.size) <= side
        if kept and image.getexif().get(ExifTags.Base.Orientation, 1) == 1:  # getexif decodes a PNG
            return payload
    scale = min(1.0, side / min(whole.size))
    small = whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG" if jpeg else "PNG", quality=95)
    return buffer.getvalue()


def _read(name: str, folder: Path) -> bytes:
    path = Path(os.path.abspath(folder / name))  # without resolving links, which may lead out of the folder
    if not path.is_relative_to(os.path.abspath(folder)):
        raise ValueError(f"picture: {name!r} leads out of {folder}")
    try:
        return read_picture(path)
    except ValueError as error:
        raise ValueError(f"picture: {error}") from None
    except OSError as error:  # for example a name that is too long
        raise ValueError(f"picture: {path}: {error.strerror}") from None
