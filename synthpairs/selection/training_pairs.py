"""Reading of an arm's training pairs with their pictures, from shards or caption tables."""

from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from synthpairs.core.images import image_member
from synthpairs.core.storage import Slice, locate_shard, read_shard, read_table

DATA = Path("data")
CAPTION_TABLES = ("captions/kept.parquet", "captions/rejected.parquet")  # with the pictures of real pairs
_BATCH = 64  # rows: 40 MB of pictures of 600 KB


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
        pictures = ((key, image_member(members)) for key, members in locate_shard(path))
        yield from _matched(rows, pictures, str(path))
    real = pairs[pairs["origin"] == "real"]
    if len(real):
        where = " and ".join(str(data / name) for name in CAPTION_TABLES)
        yield from _matched(real, keyed(originals(data, set(real["uid"]))), where)


def generated_images(rows: pd.DataFrame, data: Path) -> Iterator[tuple[str, bytes]]:
    """(key, encoded image) of candidates (key, shard) that have one, by shard; FileNotFoundError for a missing shard."""
    for shard, group in rows.groupby("shard"):
        path, wanted = data / "images" / str(shard), set(group["key"])
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: run `dvc repro images` first")
        for key, members in read_shard(path):
            if key in wanted and (image := image_member(members)):
                yield key, image


def originals(
    data: Path, uids: AbstractSet[str], tables: Sequence[str] = CAPTION_TABLES
) -> Iterator[tuple[str, bytes | None]]:
    """(uid, encoded original picture or None) of the captions with these `uids`, in the order of the tables.

    A uid may repeat. A batch of rows is in memory at a time; row groups without such a caption are skipped.
    """
    for name in tables if uids else ():
        with pq.ParquetFile(data / name, buffer_size=2**20) as file:  # unbuffered, whole column chunks are read at once
            for group in range(file.num_row_groups):
                if uids.isdisjoint(file.read_row_group(group, columns=["uid"])["uid"].to_pylist()):
                    continue
                for batch in file.iter_batches(_BATCH, row_groups=[group], columns=["uid", "original"]):
                    for row, uid in enumerate(batch["uid"].to_pylist()):
                        if uid in uids:
                            yield uid, batch["original"][row].as_py()


def original_key(uid: str, number: int) -> str:
    """Key of a real pair: its caption's uid, and from the second picture of equal captions on its number."""
    return f"{uid}.{number}" if number else uid


def keyed(pictures: Iterator[tuple[str, bytes | None]]) -> Iterator[tuple[str, bytes]]:
    """(key, encoded picture) of all captions that have one; of equal captions the first's key is the uid."""
    numbers: Counter[str] = Counter()
    for uid, picture in pictures:
        if picture is not None:
            yield original_key(uid, numbers[uid]), picture
            numbers[uid] += 1


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
