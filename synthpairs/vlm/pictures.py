"""Pictures of examples, kept as they lie in files until a training asks for their pixels.

The pixels of 665,000 pictures at 336 x 336 are 450 GB; the files that they are made from stay where they are, and the
workers of a training's loader read and decode them.
"""

import hashlib
import io
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

from synthpairs.core.storage import Slice, read_bytes
from synthpairs.runtime.launch import beside

Source = Image.Image | bytes | Path | Slice  # a picture, an encoded one, or where one lies
AHEAD = 1024  # pictures that are looked at together
UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)  # what Pillow raises for broken files


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture, where it lies, and what makes the eye's input of it."""

    source: Source
    processor: BaseImageProcessor
    digest: bytes  # SHA-256 of the file's bytes

    def pixels(self) -> Tensor:
        """The eye's input [3, side, side], bfloat16, as the eye is stored; an OSError names a file that has changed meanwhile."""
        try:
            image = _opened(_encoded(self.source)).convert("RGB")
            pixels = self.processor(image, return_tensors="pt").pixel_values[0]
        except UNREADABLE as error:
            file = self.source.path if isinstance(self.source, Slice) else self.source
            where = file if isinstance(file, Path) else "in memory"
            raise OSError(f"{where}: a picture that was whole before the training is not any more: {error}") from None
        return pixels.to(torch.bfloat16)


def looked_at(sources: Iterable[Source | None], processor: BaseImageProcessor) -> Iterator[Picture | None]:
    """Each source as a Picture, in order; None where there is none, or it cannot be decoded to its end.

    Decoding lets go of the interpreter's lock, so that many are looked at beside each other.
    """
    remaining = iter(sources)
    with ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // beside())) as pool:
        while ahead := list(islice(remaining, AHEAD)):
            digests = pool.map(_digest, ahead)
            for source, digest in zip(ahead, digests, strict=True):
                yield None if digest is None or source is None else Picture(source, processor, digest)


def _digest(source: Source | None) -> bytes | None:
    """SHA-256 of a picture that can be decoded to its end, None of one that cannot."""
    if source is None:
        return None
    try:
        encoded = _encoded(source)
        image = _opened(encoded)
        image.draft("RGB", (1, 1))  # of a JPEG every byte is read, and few pixels are made
        image.load()
    except UNREADABLE:
        return None
    return hashlib.sha256(encoded if isinstance(encoded, bytes) else encoded.convert("RGB").tobytes()).digest()


def _encoded(source: Source) -> bytes | Image.Image:
    return source if isinstance(source, Image.Image) else read_bytes(source)


def _opened(encoded: bytes | Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(encoded)) if isinstance(encoded, bytes) else encoded
