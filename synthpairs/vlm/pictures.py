"""Pictures of examples, kept as files until a training needs their pixels.

The pixels of 665,000 pictures at 336 x 336 are 450 GB; the workers of the data loader read and decode the files.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import BaseImageProcessor

from synthpairs.core.images import decode_image, read_picture, to_rgb
from synthpairs.core.storage import Slice, read_bytes
from synthpairs.runtime.launch import local_world_size

Source = Image.Image | bytes | Path | Slice  # decoded, encoded, or where the encoded bytes are
CHUNK = 1024  # pictures that are checked at a time


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


def check_pictures(sources: Iterable[Source | None], processor: BaseImageProcessor) -> Iterator[Picture | None]:
    """Each source as a Picture, in order; None where there is none, or it cannot be decoded to its end."""
    remaining = iter(sources)
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // local_world_size())) as pool:  # decoding releases the GIL
        while chunk := list(islice(remaining, CHUNK)):
            for source, digest in zip(chunk, pool.map(_digest, chunk), strict=True):
                yield None if digest is None or source is None else Picture(source, processor, digest)


def _digest(source: Source | None) -> bytes | None:
    """SHA-256 of a picture that can be decoded to its end, else None."""
    if source is None:
        return None
    try:
        if isinstance(source, Image.Image):
            return hashlib.sha256(to_rgb(source).tobytes()).digest()
        encoded = _encoded(source)
        decode_image(encoded, 1)  # of a JPEG every byte is read, but few pixels are made
    except (OSError, ValueError):
        return None
    return hashlib.sha256(encoded).digest()


def _encoded(source: bytes | Path | Slice) -> bytes:
    return read_picture(source) if isinstance(source, Path) else read_bytes(source)
