"""Pictures of examples, kept as files until a training needs their pixels.

The pixels of 665,000 pictures at 336 x 336 are 450 GB; the workers of the data loader read and decode the files.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BaseImageProcessor

from synthpairs.core.images import decode_image, read_picture, to_rgb
from synthpairs.core.storage import Slice, read_bytes

Source = Image.Image | bytes | Path | Slice  # decoded, encoded, or where the encoded bytes are


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, where it is stored, and the vision tower's image processor."""

    source: Source
    processor: BaseImageProcessor
    digest: bytes  # SHA-256 of the file's bytes

    def pixels(self) -> Tensor:
        """The vision tower's input [3, side, side], bfloat16; OSError names a file that has changed since it was checked."""
        try:
            image = to_rgb(self.source) if isinstance(self.source, Image.Image) else decode_image(_encoded(self.source))
            pixels = self.processor(image, return_tensors="pt").pixel_values[0]
        except (OSError, ValueError) as error:
            file = self.source.path if isinstance(self.source, Slice) else self.source
            where = file if isinstance(file, Path) else "in memory"
            raise OSError(f"{where}: a picture cannot be decoded any more: {error}; restore the file") from None
        return pixels.to(torch.bfloat16)


def picture_digests(sources: Sequence[Source | None]) -> list[str | None]:
    """SHA-256 of each picture's bytes, in hexadecimal; None where there is none, or it cannot be decoded to its end."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding releases the GIL; other processes of the training wait
        return list(pool.map(_digest, sources))


def source_identity(source: object) -> Any:
    """A JSON value that changes with a picture: its hash, or size and time of the file that holds it."""
    if isinstance(source, Path):
        try:
            stat = source.stat()
        except OSError as error:
            return [str(source), error.strerror]
        return [str(source), stat.st_size, stat.st_mtime_ns]
    if isinstance(source, Slice):
        return [source_identity(source.path), source.offset, source.size]
    if isinstance(source, bytes | Image.Image):
        return hashlib.sha256(source if isinstance(source, bytes) else source.tobytes()).hexdigest()
    return type(source).__name__


def _digest(source: Source | None) -> str | None:
    if source is None:
        return None
    try:
        if isinstance(source, Image.Image):
            return hashlib.sha256(to_rgb(source).tobytes()).hexdigest()
        encoded = _encoded(source)
        decode_image(encoded, 1)  # of a JPEG every byte is read, but few pixels are made
    except (OSError, ValueError):
        return None
    return hashlib.sha256(encoded).hexdigest()


def _encoded(source: bytes | Path | Slice) -> bytes:
    return read_picture(source) if isinstance(source, Path) else read_bytes(source)
