"""Samples of the generated, selected and real pairs, and of the captions with both a generated and a real image."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from synthpairs.core.schema import PAIRS
from synthpairs.core.storage import read_table
from synthpairs.selection.ranking import hash_score

COLUMNS = ["key", "uid", "text", "concept", "origin", "shard"]
SETS = ("candidates", "selected", "real")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSets:
    """Sampled rows of PAIRS, and the keys of each set."""

    rows: pd.DataFrame  # columns COLUMNS, each key once
    keys: dict[str, list[str]]  # by name of SETS, sorted
    same_caption: pd.DataFrame  # uid, synthetic, real: keys of the two images of a caption

    def of(self, name: str, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of a table with column `key` that belong to a set."""
        return table[table["key"].isin(self.keys[name])]


def draw_sets(data: Path, count: int, seed: int) -> PairSets:
    """At most `count` pairs of each set, and captions with both images, by hash; no real pairs without the arm `real`.

    Of several candidates of a caption the one with the smallest key counts: independent of the scores.
    """
    candidates = read_table(data / "images/manifest.parquet", "dvc repro images")
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    path = data / "selection/pairs/real.parquet"
    real = read_table(path, "dvc repro select") if path.exists() else PAIRS.empty_table().to_pandas()
    candidates = candidates.assign(origin="synthetic")[COLUMNS]
    first = candidates.sort_values("key").drop_duplicates("uid")[["uid", "key"]]
    both = (
        real[["uid", "key"]].rename(columns={"key": "real"}).merge(first.rename(columns={"key": "synthetic"}), on="uid")
    )
    both = _draw(both, "real", count, seed)
    parts = {"candidates": candidates, "selected": candidates[candidates["key"].isin(selected["key"])], "real": real}
    keys = {name: list(_draw(part, "key", count, seed)["key"]) for name, part in parts.items()}
    wanted = {*keys["candidates"], *keys["selected"], *keys["real"], *both["synthetic"], *both["real"]}
    rows = pd.concat([candidates, real[COLUMNS]])
    rows = rows[rows["key"].isin(wanted)].sort_values("key", ignore_index=True)
    return PairSets(rows=rows, keys=keys, same_caption=both)


def _draw(rows: pd.DataFrame, key: str, count: int, seed: int) -> pd.DataFrame:
    """At most `count` rows, those whose key has the smallest hash, sorted by key."""
    order = hash_score(rows[key], seed, "distributions").sort_values(kind="stable")
    return rows.loc[order.index[:count]].sort_values(key, ignore_index=True)
