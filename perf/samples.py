"""Generated samples stored twice: as VQ tokens and as the images that those decode to."""

import io
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from synthpairs.core.images import decode_image
from synthpairs.core.schema import candidate_key
from synthpairs.core.storage import read_shard, shard_bytes, write_bytes
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.tokens import TOKENS
from synthpairs.generation.masked.tokens import encoded as encoded_tokens
from synthpairs.runtime.progress import progress


@dataclass(frozen=True, slots=True)
class Sample:
    """A caption with its VQ tokens and its image."""

    text: str
    tokens: bytes
    png: bytes


def generated(generator: MaskedGenerator, texts: list[str]) -> tuple[list[Sample], list[tuple[float, float]]]:
    """A sample per caption, and per batch the seconds for VQ tokens, and for decoding and encoding as PNG."""
    samples, seconds = [], []
    size, vocabulary = generator.params.batch_size, len(generator.codebook)
    with progress("generation", len(texts), "captions") as advance:
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            keys = [candidate_key(text, start + index, generator.fingerprint) for index, text in enumerate(batch)]
            started = time.perf_counter()
            tokens, _ = generator.decode(keys, batch)
            stored = [encoded_tokens(grid, None, vocabulary)["tokens"] for grid in tokens]
            generated_at = time.perf_counter()
            pngs = [
                _png(Image.fromarray((image * 255).round().astype(np.uint8))) for image in generator.pictures(tokens)
            ]
            seconds.append((generated_at - started, time.perf_counter() - generated_at))
            samples += [Sample(*parts) for parts in zip(batch, stored, pngs, strict=True)]
            advance(len(batch))
    return samples, seconds


def enlarged(samples: list[Sample], side: int, cells: int, vocabulary: int) -> list[Sample]:
    """The same samples with images of another size, and random tokens of another tokenizer."""
    rng = np.random.default_rng(0)
    return [
        Sample(
            sample.text,
            rng.integers(0, vocabulary, cells).astype(TOKENS).tobytes(),
            _png(decode_image(sample.png).resize((side, side), Image.Resampling.BICUBIC)),
        )
        for sample in samples
    ]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def write(samples: list[Sample], shard: Path) -> None:
    """Write samples to a tar shard, for another process."""
    files = [{"txt": sample.text.encode(), "tokens": sample.tokens, "png": sample.png} for sample in samples]
    write_bytes(shard, shard_bytes((f"{index:06}", members) for index, members in enumerate(files)))


def read(shard: Path) -> list[Sample]:
    """Read the samples of `write`."""
    return [Sample(files["txt"].decode(), files["tokens"], files["png"]) for _, files in read_shard(shard)]
