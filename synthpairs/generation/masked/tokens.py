"""Files of VQ token grids in shards: encoding and reading, with numpy alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthpairs.core.storage import read_json, read_shard, read_table

TOKENS, VECTORS = np.dtype("<u2"), np.dtype("<f2")  # stored row-major


def encoded(tokens: np.ndarray, vectors: np.ndarray | None, codes: int) -> dict[str, bytes]:
    """Files of one sample; ValueError for a token beyond the `codes` of the codebook, or a vector that is not finite."""
    _check_tokens(tokens, codes)
    files = {"tokens": tokens.astype(TOKENS).tobytes()}
    if vectors is not None:
        if not np.isfinite(vectors).all():
            raise ValueError("the vectors hold values that are not finite")
        files["vectors"] = vectors.astype(VECTORS).tobytes()
    return files


def read_token_grids(directory: Path) -> Iterator[tuple[str, str, np.ndarray, np.ndarray | None]]:
    """(key, caption, tokens uint16 [rows, columns], vectors float16 [channels, rows, columns] if soft), by key.

    One shard is in memory at a time. FileNotFoundError when the stage has not run; ValueError names shard and key of a sample
    that does not agree with the manifest or generator.json.
    """
    manifest = read_table(directory / "manifest.parquet", "dvc repro generate_tokens")
    inputs = read_json(directory / "generator.json", "dvc repro generate_tokens", ["inputs"])["inputs"]
    rows, columns = inputs["grid"]
    for shard, listed in manifest.groupby("shard", sort=False):
        path, keys = directory / str(shard), []
        for key, files in read_shard(path):
            where = f"{path}: {key}"
            tokens = _array(files, "tokens", TOKENS, (rows, columns), where)
            try:
                _check_tokens(tokens, inputs["codes"])
            except ValueError as error:
                raise ValueError(f"{where}: {error}; run `dvc repro generate_tokens` again") from None
            shape = (inputs["channels"], rows, columns)
            vectors = _array(files, "vectors", VECTORS, shape, where) if inputs["vectors"] == "soft" else None
            yield key, files["txt"].decode(), tokens, vectors
            keys.append(key)
        if keys != listed["key"].tolist():
            raise ValueError(
                f"{path}: holds other samples than manifest.parquet says; run `dvc repro generate_tokens` again"
            )


def _check_tokens(tokens: np.ndarray, codes: int) -> None:
    if tokens.size and tokens.max() >= codes:
        raise ValueError(f"token {tokens.max()} lies beyond the codebook of {codes}")


def _array(files: dict[str, bytes], name: str, dtype: np.dtype, shape: tuple[int, ...], where: str) -> np.ndarray:
    payload = files.get(name, b"")
    if len(payload) != dtype.itemsize * np.prod(shape):
        size = f"{len(payload)} bytes of {name}, not those of {' x '.join(map(str, shape))}"
        raise ValueError(f"{where}: {size}; run `dvc repro generate_tokens` again")
    return np.frombuffer(payload, dtype).reshape(shape)


def codebook_vectors(tokens: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Codebook vectors, float32 [n, channels, rows, columns], of tokens [n, rows, columns]; ValueError beyond the codebook."""
    _check_tokens(tokens, len(codebook))
    return np.ascontiguousarray(np.moveaxis(codebook[tokens], -1, 1), dtype=np.float32)
