"""OCR of text in images (watermarks, signatures, captions painted into them) by RapidOCR, whose package holds its models."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from PIL import Image

# Letters and digits that a line must have: round and straight shapes are read as single ones in 26 of 60 desk images.
LETTERS = 3


class TextReader:
    """A loaded reader; ValueError where its packages are not installed."""

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ValueError(
                f"params.yaml: audit.text needs packages that are not installed ({error}): "
                "`uv pip install rapidocr onnxruntime`, or set it to false"
            ) from None
        # One thread: which text is found must not depend on the machine's cores.
        engine = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        settings = {f"EngineConfig.onnxruntime.{name}": value for name, value in engine.items()}
        self._engine = RapidOCR(params=settings | {"Global.log_level": "error"})

    @property
    def inputs(self) -> dict[str, Any]:
        """The version says which models."""
        return {"rapidocr": version("rapidocr"), "onnxruntime": version("onnxruntime"), "letters": LETTERS}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`written` of each image: lines of LETTERS or more, with a confidence of at least 0.5 (the library's own limit)."""
        return [{"written": self._read(image)} for image in images]

    def _read(self, image: Image.Image) -> str:
        blue_first = np.asarray(image)[:, :, ::-1]  # arrays are taken for OpenCV's
        lines = self._engine(np.ascontiguousarray(blue_first)).txts or ()
        return " ".join(line for line in lines if sum(map(str.isalnum, line)) >= LETTERS)
