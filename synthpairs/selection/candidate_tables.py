"""Input tables of the selection: candidates with scores, captions without their original pictures."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthpairs.core.schema import PAIR_SCORES
from synthpairs.core.storage import read_table


def read_candidates(data: Path) -> pd.DataFrame:
    """All candidates in the folder `data` with their scores, NaN where there are none."""
    manifest = read_table(data / "images/manifest.parquet", "dvc repro images")
    return with_scores(manifest, read_table(data / "scores/scores.parquet", "dvc repro scores"))


def with_scores(manifest: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """All candidates with their scores, NaN where there are none."""
    known = pc.is_in(pa.array(scores["key"]), value_set=pa.array(manifest["key"]))  # 40 times as fast as pandas' isin
    unknown = sorted(scores.loc[~known.to_numpy(zero_copy_only=False), "key"])
    if unknown:
        raise ValueError(
            f"data/scores/scores.parquet holds {len(unknown)} pictures that data/images does not, first {unknown[0]}: "
            "run `dvc repro scores`"
        )
    columns = manifest[["key", "uid", "text", "concept", "shard"]]  # few columns, because sorting copies them
    return columns.merge(scores[["key", *PAIR_SCORES]], on="key", how="left", validate="one_to_one")


def read_captions(data: Path, pictured: bool = False) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Kept and rejected captions in the folder `data`, with the columns that the choice and the description of pairs need.

    With `pictured` a column of this name says which have an original picture; that streams all pictures once.
    """

    def read(name: str, *more: str) -> pd.DataFrame:
        path = data / f"captions/{name}.parquet"
        columns = ["uid", "text", "source", "concept", "drawings", "clip_original", *more]
        table = read_table(path, "dvc repro captions", columns)
        return table.assign(pictured=_pictured(path)) if pictured else table

    return read("kept"), read("rejected", "reason")


def _pictured(path: Path) -> np.ndarray:
    with pq.ParquetFile(path, buffer_size=2**20) as file:
        batches = file.iter_batches(64, columns=["original"])
        return np.array([known for batch in batches for known in batch["original"].is_valid().to_pylist()], dtype=bool)
