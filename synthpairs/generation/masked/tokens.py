"""Files of VQ token grids in shards: encoding and reading, with numpy alone."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from synthpairs.core.storage import Slice, locate_shard, read_json, read_table

TOKENS, VECTORS = np.dtype("<u2"), np.dtype("<f2")  # stored row-major


def encoded(tokens: np.ndarray, vectors: np.ndarray | None, codes: int) -> dict[str, bytes]:
    """Files of one sample; ValueError for a token beyond the `codes` of the codebook, or a vector that is not finite."""
    check_tokens(tokens, codes)
    files = {"tokens": tokens.astype(TOKENS).tobytes()}
    if vectors is not None:
        if not np.isfinite(vectors).all():
            raise ValueError("the vectors hold values that are not finite")
        files["vectors"] = vectors.astype(VECTORS).tobytes()
    return files


def read_token_grids(directory: Path) -> Iterator[tuple[str, str, np.ndarray, Slice | None]]:
    """(key, caption, tokens uint16 [rows, columns], where vectors float16 [channels, rows, columns] are if soft), by key.

    Vectors, 64 times the bytes of their tokens with aMUSEd's, are not read. FileNotFoundError when the stage has not run;
    ValueError names shard and key of a sample that does not agree with the manifest or generator.json.
    """
    manifest = read_table(directory / "manifest.parquet", "dvc repro generate_tokens")
    inputs = read_json(directory / "generator.json", "dvc repro generate_tokens", ["inputs"])["inputs"]
    rows, columns = inputs["grid"]
    for shard, listed in manifest.groupby("shard", sort=False):
        path, keys = directory / str(shard), []
        for key, files in locate_shard(path):
            where = f"{path}: {key}"
            located = _located(files, "tokens", TOKENS, (rows, columns), where)
            tokens = np.frombuffer(located.read(), TOKENS).reshape(rows, columns)
            try:
                check_tokens(tokens, inputs["codes"])
            except ValueError as error:
                raise ValueError(f"{where}: {error}; run `dvc repro generate_tokens` again") from None
            shape = (inputs["channels"], rows, columns)
            vectors = _located(files, "vectors", VECTORS, shape, where) if inputs["vectors"] == "soft" else None
            yield key, files["txt"].read().decode(), tokens, vectors
            keys.append(key)
        if keys != listed["key"].tolist():
            raise ValueError(
                f"{path}: holds other samples than manifest.parquet says; run `dvc repro generate_tokens` again"
            )


def check_tokens(tokens: np.ndarray, codes: int) -> None:
    """ValueError for a token beyond the `codes` of the codebook."""
    if tokens.size and tokens.max() >= codes:
        raise ValueError(f"token {tokens.max()} lies beyond the codebook of {codes}")


def _located(files: dict[str, Slice], name: str, dtype: np.dtype, shape: tuple[int, ...], where: str) -> Slice:
    size = files[name].size if name in files else 0
    if size != dtype.itemsize * np.prod(shape):
        needed = f"{size} bytes of {name}, not those of {' x '.join(map(str, shape))}"
        raise ValueError(f"{where}: {needed}; run `dvc repro generate_tokens` again")
    return files[name]


def codebook_vectors(tokens: np.ndarray, codebook: np.ndarray) -> np.ndarray:
    """Codebook vectors, float32 [n, channels, rows, columns], of tokens [n, rows, columns]; ValueError beyond the codebook."""
    check_tokens(tokens, len(codebook))
    return np.ascontiguousarray(np.moveaxis(codebook[tokens], -1, 1), dtype=np.float32)
