"""The project's caption sets, and equal draws from them: entropy grows with the number of captions, so none may have more.

A set is `curated` (what the filters kept), `selected` (what the ranking chose), `invented` (what the language model
invented for class names and its filter kept), `screened` (what the filters of `captions` kept of those), a caption source
such as `human` or `model` (all that was read, before any filter), or such a source with `-kept` (what the filters kept of
it).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from synthpairs.schema import digest
from synthpairs.storage import read_table

_FILES = {
    "selected": "selected/selected.parquet",
    "invented": "invented/captions.parquet",
    "screened": "screened/kept.parquet",
}
_COMMANDS = {"selected": "dvc repro select", "invented": "dvc repro invent", "screened": "dvc repro screen"}
_KEPT = "-kept"
OWN_SOURCES = ("human", "model")  # there may be no caption of them


def read_sets(names: Sequence[str], data: Path) -> dict[str, pd.DataFrame]:
    """Columns `uid` and `text` of each named set, a row for each time that a caption stands in it; a set may be empty.

    ValueError when a name is unknown, FileNotFoundError when a set's table is missing.
    """
    read = _captions(data)
    return {name: _made(name, data) if name in _FILES else _of_source(name, read) for name in names}


def draw(captions: pd.DataFrame, count: int, seed: int) -> list[str]:
    """Texts of `count` captions, drawn by hash: neither the table's order nor what else is in it changes who is before whom.

    Sets that share captions share draws, so that less chance is between them.
    """
    copies = captions.groupby("uid").cumcount()
    ranks = [digest("diversity", seed, uid, int(copy)) for uid, copy in zip(captions["uid"], copies, strict=True)]
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    return list(captions["text"].iloc[order[:count]])


def _captions(data: Path) -> pd.DataFrame:
    """All captions that were read, with `source` and whether they were `kept`."""
    parts = []
    for name in ("kept", "rejected"):
        table = read_table(data / f"captions/{name}.parquet", "dvc repro captions")
        parts.append(table[["uid", "text", "source"]].assign(kept=name == "kept"))
    return pd.concat(parts, ignore_index=True)


def _of_source(name: str, read: pd.DataFrame) -> pd.DataFrame:
    sources = sorted({*read["source"], *OWN_SOURCES})
    if name == "curated":
        chosen = read[read["kept"]]
    elif name in sources:
        chosen = read[read["source"] == name]
    elif name.removesuffix(_KEPT) in sources:
        chosen = read[read["kept"] & (read["source"] == name.removesuffix(_KEPT))]
    else:
        known = ["curated", *_FILES, *sources, *(source + _KEPT for source in sources)]
        raise ValueError(f"params.yaml: diversity.sets: no caption set {name!r}; there are {', '.join(known)}")
    return chosen[["uid", "text"]]


def _made(name: str, data: Path) -> pd.DataFrame:
    path = data / _FILES[name]
    if not path.exists():
        raise FileNotFoundError(
            f"params.yaml: diversity.sets: {name!r} needs {path}, which is missing: run `{_COMMANDS[name]}` first, or "
            "take it off the list"
        )
    table = read_table(path, _COMMANDS[name])
    columns = ["uid", "text", "reason"] if name == "invented" else ["uid", "text"]
    if missing := [column for column in columns if column not in table]:
        raise ValueError(f"{path}: column {missing[0]} is missing; run `{_COMMANDS[name]}` again")
    if name == "invented":
        table = table[table["reason"].isna() & table["text"].notna()]  # a request that failed has neither
    return table[["uid", "text"]]
