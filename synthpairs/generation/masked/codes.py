"""Token grids in shards: how a sample holds them, and how they are read back; numpy alone, no model."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthpairs.core.storage import read_shard, read_table

TOKENS, VECTORS = np.dtype("<u2"), np.dtype("<f2")  # as stored, row-major


def encoded(tokens: np.ndarray, vectors: np.ndarray | None, codes: int) -> dict[str, bytes]:
    """Files of one sample; ValueError when a token lies beyond the codebook of `codes`, or a vector is not finite."""
    if tokens.max() >= codes:
        raise ValueError(_beyond(tokens, codes))
    files = {"tokens": tokens.astype(TOKENS).tobytes()}
    if vectors is not None:
        if not np.isfinite(vectors).all():
            raise ValueError("the vectors hold values that are not finite")
        files["vectors"] = vectors.astype(VECTORS).tobytes()
    return files


def read_codes(directory: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray | None]]:
    """(key, caption, tokens uint16 [rows, columns], vectors float16 [channels, rows, columns] if soft), by key.

    One shard is in memory at a time. FileNotFoundError when the data is not there; ValueError names shard and key of a sample
    that is not what the manifest and generator.json say.
    """
    manifest = read_table(directory / "manifest.parquet", "dvc repro embed")
    inputs = json.loads((directory / "generator.json").read_text())["inputs"]
    rows, columns = inputs["grid"]
    for shard, listed in manifest.groupby("shard", sort=False):
        path, keys = directory / str(shard), []
        for key, files in read_shard(path):
            where = f"{path}: {key}"
            tokens = _array(files, "tokens", TOKENS, (rows, columns), where)
            if tokens.max() >= inputs["codes"]:
                raise ValueError(f"{where}: {_beyond(tokens, inputs['codes'])}; run `dvc repro embed` again")
            shape = (inputs["channels"], rows, columns)
            vectors = _array(files, "vectors", VECTORS, shape, where) if inputs["vectors"] == "soft" else None
            yield key, files["txt"].decode(), tokens, vectors
            keys.append(key)
        if keys != listed["key"].tolist():
            raise ValueError(f"{path}: holds other samples than manifest.parquet says; run `dvc repro embed` again")


def _beyond(tokens: np.ndarray, codes: int) -> str:
    return f"token {tokens.max()} lies beyond the codebook of {codes}"


def _array(files: dict[str, bytes], name: str, dtype: np.dtype, shape: tuple[int, ...], where: str) -> np.ndarray:
    payload = files.get(name, b"")
    if len(payload) != dtype.itemsize * np.prod(shape):
        size = f"{len(payload)} bytes of {name}, not those of {' x '.join(map(str, shape))}"
        raise ValueError(f"{where}: {size}; run `dvc repro embed` again")
    return np.frombuffer(payload, dtype).reshape(shape)


def vectors_of(tokens: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Codebook vectors, float32 [n, channels, rows, columns], of tokens [n, rows, columns]; ValueError beyond the codebook."""
    if tokens.size and tokens.max() >= len(codebook):
        raise ValueError(_beyond(tokens, len(codebook)))
    return np.ascontiguousarray(np.moveaxis(codebook[tokens], -1, 1), dtype=np.float32)
