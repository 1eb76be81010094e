"""Decoding of image files, broken ones included."""

import io
import re

from PIL import Image

_ADDRESS = re.compile(r" <_io\.BytesIO object at 0x[0-9a-f]+>")  # in Pillow's messages; differs between runs


def decode_image(payload: bytes) -> Image.Image:
    """The RGB image; ValueError with a reproducible one-line message if the bytes cannot be decoded."""
    try:
        return Image.open(io.BytesIO(payload)).convert("RGB")
    except Exception as error:  # decoders raise all kinds of errors on broken files
        raise ValueError(decoder_message(error)) from None


def image_or_error(payload: bytes | None) -> Image.Image | str:
    """The RGB image, or the error message."""
    if payload is None:
        return "there is no picture under this key"
    try:
        return decode_image(payload)
    except ValueError as error:
        return str(error)


def decoder_message(error: Exception) -> str:
    """A decoder's error in one line, without memory addresses."""
    return f"{type(error).__name__}: {_ADDRESS.sub('', ' '.join(str(error).split()))}"[:500]
