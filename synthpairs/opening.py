"""Opening encoded pictures, whatever they turn out to be."""

import io

from PIL import Image


def opened_picture(payload: bytes | None) -> Image.Image | str:
    """The RGB picture, or what is wrong with it."""
    if payload is None:
        return "there is no picture under this key"
    try:
        return Image.open(io.BytesIO(payload)).convert("RGB")
    except Exception as error:  # there is no saying what a broken file makes its decoder raise
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]
