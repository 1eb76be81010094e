"""The same generated samples twice: as the tokens that the generator made, and as the pictures that they stand for."""

import io
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from synthpairs.core.schema import candidate_key
from synthpairs.core.storage import read_shard, shard_bytes, write_bytes
from synthpairs.generation.diffusion.make import encoded as encoded_picture
from synthpairs.generation.masked.codes import TOKENS
from synthpairs.generation.masked.codes import encoded as encoded_tokens
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.runtime.progress import progress


@dataclass(frozen=True, slots=True)
class Sample:
    """A caption with what either route stores of its picture."""

    text: str
    tokens: bytes
    png: bytes


def generated(generator: MaskedGenerator, texts: list[str]) -> tuple[list[Sample], list[tuple[float, float]]]:
    """A sample for each caption; and of every batch the seconds for its codes, and for drawing them and writing PNG."""
    samples, seconds = [], []
    size, codes = generator.params.batch, len(generator.codebook)
    with progress("generation", len(texts), "captions") as advance:
        for start in range(0, len(texts), size):
            batch = texts[start : start + size]
            keys = [candidate_key(text, start + place, generator.fingerprint) for place, text in enumerate(batch)]
            began = time.perf_counter()
            tokens, _ = generator.decode(keys, batch)
            stored = [encoded_tokens(grid, None, codes)["tokens"] for grid in tokens]
            coded = time.perf_counter()
            pngs = [encoded_picture(picture, "png", marked=False)["png"] for picture in generator.pictures(tokens)]
            seconds.append((coded - began, time.perf_counter() - coded))
            samples += [Sample(*parts) for parts in zip(batch, stored, pngs, strict=True)]
            advance(len(batch))
    return samples, seconds


def enlarged(samples: list[Sample], side: int, cells: int, codes: int) -> list[Sample]:
    """The same with pictures of another size, and random codes of another tokenizer."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, codes, cells).astype(TOKENS).tobytes() for _ in samples]
    return [
        Sample(sample.text, tokens, _resized(sample.png, side)) for sample, tokens in zip(samples, drawn, strict=True)
    ]


def _resized(png: bytes, side: int) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").resize((side, side), Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def write(samples: list[Sample], shard: Path) -> None:
    """Keep them for another process."""
    files = [{"txt": sample.text.encode(), "tokens": sample.tokens, "png": sample.png} for sample in samples]
    write_bytes(shard, shard_bytes((f"{place:06}", members) for place, members in enumerate(files)))


def read(shard: Path) -> list[Sample]:
    """What `write` kept."""
    return [Sample(files["txt"].decode(), files["tokens"], files["png"]) for _, files in read_shard(shard)]
