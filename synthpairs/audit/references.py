"""What the benchmarks ask and show: the texts and pictures that training data is held against."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from synthpairs.schema import BENCHMARK, normalise
from synthpairs.storage import read_table

INSTRUCTIONS = "instructions"  # stands beside the benchmarks, but is trained on


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """An item is TASK/UID; what several items ask or show stands for the first of them."""

    texts: dict[str, str]  # questions, answers and references, normalised, and their item
    pictures: dict[str, bytes]  # encoded pictures by item


def read_references(tasks: Path) -> References:
    """All benchmark tables in the directory; FileNotFoundError without one, ValueError for a table that is none."""
    texts: dict[str, str] = {}
    pictures: dict[str, tuple[str, bytes]] = {}
    tables = sorted(path for path in tasks.glob("*.parquet") if path.stem != INSTRUCTIONS)
    if not tables:
        raise FileNotFoundError(f"{tasks} holds no benchmark: run `dvc repro tasks` first")
    for path in tables:
        table = read_table(path, "dvc repro tasks")
        if missing := [name for name in BENCHMARK.names if name not in table]:
            raise ValueError(f"{path}: column {missing[0]} is missing; run `dvc repro tasks` again")
        for row in table.sort_values("uid").to_dict("records"):
            item = f"{path.stem}/{row['uid']}"
            for text in (row["question"], *row["answers"]):
                texts.setdefault(normalise(text), item)
            if row["picture"] is not None:
                pictures.setdefault(hashlib.sha256(row["picture"]).hexdigest(), (item, row["picture"]))
    return References(texts=texts, pictures=dict(pictures.values()))
