"""Decoding of images, whatever their bytes turn out to be."""

import io
import re

from PIL import Image

_ADDRESS = re.compile(r" <_io\.BytesIO object at 0x[0-9a-f]+>")  # of the bytes in memory, another one in every run


def decode_image(payload: bytes) -> Image.Image:
    """The RGB image; ValueError, in one line that is the same in every run, where there is none."""
    try:
        return Image.open(io.BytesIO(payload)).convert("RGB")
    except Exception as error:  # there is no saying what a broken file makes its decoder raise
        raise ValueError(decoder_message(error)) from None


def image_or_error(payload: bytes | None) -> Image.Image | str:
    """The RGB image, or what is wrong with it."""
    if payload is None:
        return "there is no picture under this key"
    try:
        return decode_image(payload)
    except ValueError as error:
        return str(error)


def decoder_message(error: Exception) -> str:
    """What a decoder complains of, in one line without the address of its bytes."""
    return f"{type(error).__name__}: {_ADDRESS.sub('', ' '.join(str(error).split()))}"[:500]
