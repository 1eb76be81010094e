"""Reading of an arm's training pairs with their pictures, from shards or caption tables."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from synthpairs.core.storage import Slice, locate_shard, read_table

DATA = Path("data")
CAPTION_TABLES = ("captions/kept.parquet", "captions/rejected.parquet")  # with the pictures of real pairs


def load_training_pairs(arm: str, data: Path = DATA) -> Iterator[tuple[str, str, Slice | bytes]]:
    """(key, caption, encoded picture) of an arm's training pairs, in the same order in every run.

    Generated pictures are slices of their shards; originals, from tables, are bytes. FileNotFoundError when the arm's table
    is missing, ValueError when a picture is.
    """
    return with_pictures(read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select"), data)


def with_pictures(pairs: pd.DataFrame, data: Path) -> Iterator[tuple[str, str, Slice | bytes]]:
    """(key, caption, encoded picture) of rows of PAIRS: synthetic ones shard by shard, then real ones."""
    synthetic = pairs[pairs["origin"] == "synthetic"]
    for shard, rows in synthetic.groupby("shard"):
        path = data / "images" / str(shard)
        pictures = ((key, members.get("png") or members.get("webp")) for key, members in locate_shard(path))
        yield from _matched(rows, pictures, str(path))
    real = pairs[pairs["origin"] == "real"]
    if len(real):
        yield from _matched(real, originals(data), " and ".join(str(data / name) for name in CAPTION_TABLES))


def originals(data: Path) -> Iterator[tuple[str, bytes | None]]:
    """(uid, encoded original picture or None) of all captions, kept and rejected."""
    for name in CAPTION_TABLES:
        for batch in pq.ParquetFile(data / name).iter_batches(batch_size=1024, columns=["uid", "original"]):
            yield from zip(batch["uid"].to_pylist(), batch["original"].to_pylist(), strict=True)


def _matched(
    rows: pd.DataFrame, pictures: Iterator[tuple[str, Slice | bytes | None]], where: str
) -> Iterator[tuple[str, str, Slice | bytes]]:
    wanted = dict(zip(rows["key"], rows["text"], strict=True))
    for key, payload in pictures:
        if payload is not None and key in wanted:
            yield key, wanted.pop(key), payload
    if wanted:
        raise ValueError(
            f"{where}: no picture for {len(wanted)} pairs, first {min(wanted)}; run `dvc repro select` again"
        )
