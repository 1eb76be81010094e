"""Painting what is still missing, batch by batch, into a work store; one bad caption costs its own pictures only."""

import hashlib
import io
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from synthpairs.images.generator import Generator
from synthpairs.progress import progress
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, read_shard, shard_bytes

log = logging.getLogger(__name__)


def finished(store: WorkStore, extension: str) -> dict[str, str]:
    """Which piece of the store holds a key's picture, unchanged; damaged pieces are removed, to be made again."""
    where: dict[str, str] = {}
    for path in sorted(store.path.glob("*.tar")):
        try:
            for key, members in read_shard(path):
                if hashlib.sha256(members[extension]).hexdigest() != members["sha256"].decode():
                    raise ValueError(f"{path}: the picture of {key} is not what was stored")
                where[key] = path.name
        except (ValueError, KeyError) as error:
            log.warning("%s is damaged and its pictures are made again (%s)", path, error)
            path.unlink()
            where = {key: piece for key, piece in where.items() if piece != path.name}
    return where


def paint_missing(
    rows: Sequence[dict], generator: Generator, store: WorkStore, may_fail: int
) -> tuple[dict, list[dict]]:
    """Paint candidates (in the given order) into the store; returns key -> piece, and the failed ones as FAILED rows.

    Raises ValueError as soon as more than `may_fail` have failed, so that a broken set-up does not spend the night.
    """
    size, extension = generator.params.batch, generator.params.format
    where: dict[str, str] = {}
    failed: list[dict] = []
    with ThreadPoolExecutor() as pool, progress("images", len(rows), "pictures") as advance:
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            encoded = pool.map(lambda picture: _encode(picture, extension), _paint(generator, batch))
            samples = []
            for row, result in zip(batch, encoded, strict=True):
                if isinstance(result, str):
                    failed.append({"key": row["key"], "uid": row["uid"], "error": result})
                    log.warning("no picture for candidate %s of caption %s: %s", row["number"], row["uid"], result)
                else:
                    sha256 = hashlib.sha256(result).hexdigest()
                    samples.append((row["key"], {extension: result, "sha256": sha256.encode()}))
            if samples:
                piece = f"{digest(*(key for key, _ in samples))}.tar"
                store.put(piece, shard_bytes(samples))
                where |= {key: piece for key, _ in samples}
            if len(failed) > may_fail:
                raise ValueError(
                    f"{len(failed)} of {start + len(batch)} pictures failed, more than images.max_failed_share of "
                    f"params.yaml allows; the first, for caption {failed[0]['uid']}: {failed[0]['error']}"
                )
            advance(len(batch))
    return where, failed


def _paint(generator: Generator, batch: Sequence[dict]) -> list[np.ndarray | str]:
    """A picture or an error for each candidate; when a batch raises, its candidates are tried one by one."""
    try:
        return list(generator.paint([row["key"] for row in batch], [row["text"] for row in batch]))
    except Exception as error:  # there is no saying what a pipeline raises on a prompt that it cannot take
        if len(batch) == 1:
            return [f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]]
        return [result for row in batch for result in _paint(generator, [row])]


def _encode(picture: np.ndarray | str, extension: str) -> bytes | str:
    """The picture, values in [0, 1], as a lossless file; or why it is none."""
    if isinstance(picture, str):
        return picture
    if not np.isfinite(picture).all():
        return "the picture holds values that are not finite"
    pixels = (picture * 255).round().astype(np.uint8)  # as diffusers does it
    if (pixels == pixels[0, 0]).all():
        return "the picture has one flat colour"
    buffer = io.BytesIO()
    if extension == "webp":
        Image.fromarray(pixels).save(buffer, "WEBP", lossless=True)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(keys: Sequence[str], where: dict[str, str], folder: Path, extension: str) -> dict[str, bytes]:
    """The stored pictures of some keys."""
    wanted = set(keys)
    found: dict[str, bytes] = {}
    for piece in sorted({where[key] for key in keys}):
        found |= {key: members[extension] for key, members in read_shard(folder / piece) if key in wanted}
    return found
