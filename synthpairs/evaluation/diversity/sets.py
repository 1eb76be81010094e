"""Caption sets, and draws of equal size from them, since entropy grows with the number of captions.

A set is `curated` (captions that the filters kept), `selected` (of the selected pairs), `class-captions` (generated for class
names, and kept by that stage), `filtered` (those of them that the filters kept), `reference`, `generated` or the name of another
caption source (all, before any filter), or one of these with `-kept` (after the filters).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.core.schema import digest
from synthpairs.core.storage import read_table

_FILES = {  # and the command that makes them
    "selected": ("selection/selected.parquet", "dvc repro select"),
    "class-captions": ("class_captions/captions.parquet", "dvc repro class_captions"),
    "filtered": ("filtered_captions/kept.parquet", "dvc repro filter_captions"),
}
_KEPT = "-kept"
SOURCES = {
    "reference": "human",
    "generated": "model",
}  # sets and their captions' `source`; known even without a caption


def read_sets(names: Sequence[str], data: Path) -> dict[str, pd.DataFrame]:
    """Columns `uid` and `text` of each named set, which may be empty or hold a caption several times.

    ValueError when a name is unknown, FileNotFoundError when a set's table is missing.
    """
    columns = ["uid", "text", "source"]
    tables = [
        read_table(data / f"captions/{name}.parquet", "dvc repro captions", columns).assign(kept=name == "kept")
        for name in ("kept", "rejected")
    ]
    read = pd.concat(tables, ignore_index=True)
    return {name: _read_file(name, data) if name in _FILES else _of_source(name, read) for name in names}


def draw(captions: pd.DataFrame, count: int, seed: int) -> list[str]:
    """Texts of `count` captions with the smallest hashes, independent of the table's order and of its other captions.

    Sets that share captions share draws, which reduces the noise of comparisons.
    """
    copies = captions.groupby("uid").cumcount()
    order = [digest("diversity", seed, uid, copy) for uid, copy in zip(captions["uid"], copies.tolist(), strict=True)]
    return list(captions["text"].iloc[np.argsort(order, kind="stable")[:count]])


def _of_source(name: str, read: pd.DataFrame) -> pd.DataFrame:
    sources = SOURCES | {source: source for source in sorted(set(read["source"]) - set(SOURCES.values()))}
    if name == "curated":
        chosen = read[read["kept"]]
    elif (source := sources.get(name.removesuffix(_KEPT))) is not None:
        chosen = read[(read["source"] == source) & (read["kept"] | (name in sources))]
    else:
        known = ["curated", *_FILES, *sources, *(source + _KEPT for source in sources)]
        raise ValueError(f"params.yaml: diversity.sets: no caption set {name!r}; there are {', '.join(known)}")
    return chosen[["uid", "text"]]


def _read_file(name: str, data: Path) -> pd.DataFrame:
    file, command = _FILES[name]
    table = read_table(data / file, command)
    if name == "class-captions":
        table = table[table["reason"].isna() & table["text"].notna()]  # a request that failed has neither
    return table[["uid", "text"]]
