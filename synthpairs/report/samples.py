"""Which pairs the report shows, and their pictures as cells of a grid."""

from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.core.storage import read_shard
from synthpairs.report.findings import Ranking, fused
from synthpairs.report.grids import Cell
from synthpairs.report.inputs import Inputs
from synthpairs.selection.pairs import originals


def extremes(inputs: Inputs, ranking: Ranking, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The candidates of highest and of lowest fused score, best and worst first; at most one per caption in each."""
    columns = ["key", "text", "shard"]
    rows = inputs.scores.merge(inputs.manifest[columns], on="key", validate="one_to_one")
    rows = rows.assign(fused=fused(rows, ranking))
    best = rows.sort_values(["fused", "key"], ascending=[False, True]).drop_duplicates("uid")
    worst = rows.sort_values(["fused", "key"]).drop_duplicates("uid")
    return best.head(count), worst.head(count)


def sample(rows: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """That many rows by chance, whatever their order was."""
    ordered = rows.sort_values("key", ignore_index=True)
    places = np.random.default_rng(seed).permutation(len(ordered))[:count]
    return ordered.iloc[places]


def synthetic_cells(rows: pd.DataFrame, data: Path) -> list[Cell]:
    """Cells of candidates (key, text, shard; with clip_cosine and ssim also a note), pictures from data/images."""
    pictures: dict[str, bytes] = {}
    for shard, group in rows.groupby("shard"):
        path, wanted = data / "images" / str(shard), set(group["key"])
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: run `dvc repro images` first")
        for key, members in read_shard(path):
            if key in wanted:
                pictures[key] = members.get("png") or members.get("webp") or b""
    return [
        Cell(
            picture=pictures.get(row["key"], b""),
            caption=row["text"],
            note=f"CLIP {row['clip_cosine']:.2f} SSIM {row['ssim']:.2f}" if "ssim" in row else "",
        )
        for row in rows.to_dict("records")
    ]


def real_cells(rows: pd.DataFrame, data: Path) -> list[Cell]:
    """Cells of real pairs, pictures from the captions' originals."""
    wanted, pictures = set(rows["uid"]), dict[str, bytes]()
    for uid, picture in originals(data):
        if picture is not None and uid in wanted:
            pictures.setdefault(uid, picture)  # of a duplicate's the kept one
    return [Cell(picture=pictures.get(row["uid"], b""), caption=row["text"]) for row in rows.to_dict("records")]
