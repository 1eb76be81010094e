"""Rows of the gallery: candidates, real pairs and rejected captions with all their measures, and the choice among them."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.core.schema import PAIR_SCORES
from synthpairs.core.storage import read_table
from synthpairs.report.gallery.params import Gallery
from synthpairs.selection.arms import ALIGNMENT
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import fused_score, hash_score, rank_candidates

SELECTED, PASSED, FAILED, REAL, REJECTED = "selected", "not selected", "failed", "real", "rejected"  # statuses
MEASURES = ["words", "perplexity", "judge_yes", "clip_original"]  # of the caption, as CAPTIONS has them


def read_rows(data: Path, arms: Sequence[Arm], select: Select) -> dict[str, pd.DataFrame]:
    """All rows by kind; FileNotFoundError and ValueError name the stage to run for a table.

    Every kind has id, uid, text, concept, source, status, arms (list), clip (of caption and image), and MEASURES.
    Candidates also have the columns of CANDIDATES and SCORES, `score` (weighted, whatever the strategy) and `rank` (NaN: not
    ranked). `reason` and `detail` belong to rejections and failures.
    """
    columns = ["uid", "text", "concept", "source", *MEASURES]
    kept = read_table(data / "captions/kept.parquet", "dvc repro captions", columns)
    rejected = read_table(data / "captions/rejected.parquet", "dvc repro captions", [*columns, "reason", "detail"])
    pairs = {arm: set(read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select")["key"]) for arm in arms}
    real = pairs.pop("real", set())
    return {
        "candidate": _candidates(data, kept, pairs, select),
        "real": _real(kept, real),
        "rejected": _rejected(rejected, real),
    }


def choose(rows: dict[str, pd.DataFrame], params: Gallery) -> dict[str, pd.DataFrame]:
    """At most `limit` rows of each kind, in their order; kinds as from `read_rows`."""
    return {
        kind: extremes_and_sample(table, params) if kind == "candidate" else sample(table, params)
        for kind, table in rows.items()
    }


def extremes_and_sample(rows: pd.DataFrame, params: Gallery) -> pd.DataFrame:
    """Candidates of the best, the worst and random captions, a third of `limit` each; all if there are no more.

    A caption comes with all its candidates and counts by its best and its worst one.
    """
    if len(rows) <= params.limit:
        return rows
    captions = rows.groupby("uid")["score"].agg(["max", "min", "size"]).reset_index()
    captions["order"] = hash_score(captions["uid"], params.seed, "gallery")
    chosen: set[str] = set()
    for number, (column, ascending) in enumerate((("max", False), ("min", True), ("order", True)), start=1):
        room = params.limit * number // 3 - int(captions.loc[captions["uid"].isin(chosen), "size"].sum())
        left = captions[~captions["uid"].isin(chosen)].sort_values([column, "uid"], ascending=[ascending, True])
        chosen.update(left.loc[left["size"].cumsum() <= room, "uid"])
    return rows[rows["uid"].isin(chosen)]


def sample(rows: pd.DataFrame, params: Gallery) -> pd.DataFrame:
    """`limit` random rows, by their ids and the seed alone; all if there are no more."""
    if len(rows) <= params.limit:
        return rows
    order = hash_score(rows["id"], params.seed, "gallery")
    return rows.loc[order.sort_values(kind="stable").index[: params.limit].sort_values()]


def _candidates(data: Path, kept: pd.DataFrame, pairs: dict[Arm, set[str]], select: Select) -> pd.DataFrame:
    """Ordered by key."""
    manifest = read_table(data / "images/manifest.parquet", "dvc repro images")
    manifest = manifest.astype({"seed": "Int64"})  # int64 would become float among rows without a seed, and lose digits
    scores = read_table(data / "scores/scores.parquet", "dvc repro scores")
    selected = read_table(data / "selection/selected.parquet", "dvc repro select")
    unmade = read_table(data / "images/failed.parquet", "dvc repro images").assign(reason="no image")
    unscored = read_table(data / "scores/failed.parquet", "dvc repro scores").assign(reason="no score")
    for table, name, stage in ((scores, "scores/scores", "scores"), (selected, "selection/selected", "select")):
        if unknown := sorted(set(table["key"]) - set(manifest["key"])):
            raise ValueError(f"{data / name}.parquet holds {len(unknown)} images that data/images does not, first "
                             f"{unknown[0]}: run `dvc repro {stage}`")  # fmt: skip
    rows = manifest.merge(scores[["key", *PAIR_SCORES, "clip_tokens"]], on="key", how="left")
    ranked, _ = rank_candidates(rows, select)
    errors = pd.concat([unscored, unmade])[["key", "error", "reason"]].rename(columns={"error": "detail"})
    rows = rows.assign(score=fused_score(rows, select)).merge(ranked[["key", "rank"]], on="key", how="left")
    if len(unmade):
        lost = unmade[["key", "uid"]].merge(kept[["uid", "text", "concept"]], on="uid")
        rows = pd.concat([rows, lost], ignore_index=True)
    rows = rows.merge(errors, on="key", how="left").merge(kept[["uid", "source", *MEASURES]], on="uid", how="left")
    chosen, failed = rows["key"].isin(selected["key"]), rows["score"].isna()
    rows["status"] = np.select([chosen, failed], [SELECTED, FAILED], PASSED)
    rows["arms"] = [[arm for arm, keys in pairs.items() if key in keys] for key in rows["key"]]
    rows = rows.rename(columns={"key": "id", "clip_cosine": "clip"})
    return rows.sort_values("id", ignore_index=True)


def _real(kept: pd.DataFrame, uids: Collection[str]) -> pd.DataFrame:
    """Kept captions of the arm; its rejected ones are rows of `_rejected`."""
    rows = kept[kept["uid"].isin(uids)].sort_values("uid", ignore_index=True)
    return rows.assign(id=rows["uid"], status=REAL, arms=[["real"]] * len(rows), clip=rows["clip_original"])


def _rejected(rejected: pd.DataFrame, real: Collection[str]) -> pd.DataFrame:
    """In the table's order; a uid may repeat, so the id has a counter."""
    number = rejected.groupby("uid").cumcount().astype(str)
    used = (rejected["reason"] == ALIGNMENT) & rejected["uid"].isin(real)
    return rejected.assign(
        id=rejected["uid"] + "." + number,
        status=REJECTED,
        arms=[["real"] if taken else [] for taken in used],
        clip=rejected["clip_original"],
    )
