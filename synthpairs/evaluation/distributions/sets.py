"""Which pairs are looked at: generated ones, selected ones, real ones, and real ones with a generated picture beside them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import PAIRS
from synthpairs.core.storage import read_table
from synthpairs.selection.ranking import hash_score

COLUMNS = ["key", "uid", "text", "concept", "origin", "shard"]
SETS = ("candidates", "selected", "real")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Rows of PAIRS by key, and which of them stand in which set."""

    rows: pd.DataFrame  # columns COLUMNS, each key once
    keys: dict[str, list[str]]  # by name of SETS, in order of the keys
    couples: pd.DataFrame  # uid, synthetic, real: keys of the two pictures of a caption

    def of(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """The rows of a table with `key` that are of a set."""
        return table[table["key"].isin(self.keys[name])]


def choose(data: Path, count: int, seed: int) -> Chosen:
    """At most `count` pairs of each set, by hash, and so many couples; there are no real pairs without the arm `real`.

    Of a caption with several candidates the couple takes that of the smallest key: chance, not score.
    """
    candidates = read_table(data / "images/manifest.parquet", "dvc repro images")
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    path = data / "selection/pairs/real.parquet"
    real = read_table(path, "dvc repro select") if path.exists() else PAIRS.empty_table().to_pandas()
    candidates = candidates.assign(origin="synthetic")[COLUMNS]
    first = candidates.sort_values("key").drop_duplicates("uid")[["uid", "key"]]
    couples = real[["uid", "key"]].merge(first, on="uid", suffixes=("_real", "_synthetic"))
    couples = drawn(couples.rename(columns={"key_real": "real", "key_synthetic": "synthetic"}), "real", count, seed)
    every = pd.concat([candidates, real[COLUMNS]])
    parts = {"candidates": candidates, "selected": candidates[candidates["key"].isin(selected["key"])], "real": real}
    keys = {name: list(drawn(part, "key", count, seed)["key"]) for name, part in parts.items()}
    wanted = {*keys["candidates"], *keys["selected"], *keys["real"], *couples["synthetic"], *couples["real"]}
    rows = every[every["key"].isin(wanted)].sort_values("key", ignore_index=True)
    return Chosen(rows=rows, keys=keys, couples=couples)


def drawn(rows: pd.DataFrame, key: str, count: int, seed: int) -> pd.DataFrame:
    """At most `count` of the rows: those whose key has the smallest hash."""
    order = hash_score(rows[key], seed, "distributions").sort_values(kind="stable")
    return rows.loc[order.index[:count]].sort_values(key, ignore_index=True)
