"""From scores to data/selected: the ranking, the arms, and the data set in the forms that others read."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synthpairs.arms import Arm
from synthpairs.packages import pinned
from synthpairs.schema import PAIRS, SELECTED
from synthpairs.selection.arms import make_arm
from synthpairs.selection.card import dataset_card
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.selection.records import llava_records
from synthpairs.shards import cut, shard_name, write_shards
from synthpairs.storage import read_shard, read_table, write_bytes, write_json, write_table

log = logging.getLogger(__name__)


def make_selection(params: Select, arms: Sequence[Arm], data: Path, out: Path) -> dict:
    """Write `out` (selected.parquet, llava.json, shards, README.md, pairs/ARM.parquet) from `data`; returns metrics."""
    if len(set(arms)) < len(arms):
        raise ValueError(f"params.yaml: arms must name each arm once, got {arms}")
    candidates, (captions, rejected) = read_candidates(data), read_captions(data)
    pool, lost = rank_candidates(candidates, params)
    selected = select_top_k(pool, params)
    if len(selected) < params.k:
        hint = "; with select.best_of each caption counts once" if params.best_of else ""
        if params.per_concept is not None:
            hint += f"; select.per_concept lets in {params.per_concept} of each concept"
        log.warning("select.k is %d, but only %d candidates compete%s: all are taken", params.k, len(pool), hint)
    scored = candidates.dropna(subset=["clip_cosine", "ssim"])
    sizes: dict[str, dict[str, int]] = {}
    for arm in arms:
        pairs, sizes[arm] = make_arm(arm, selected, scored, captions, rejected, params)
        write_table(out / f"pairs/{arm}.parquet", pairs, PAIRS)
    for path in sorted((out / "pairs").glob("*.parquet")):
        if path.stem not in sizes:
            path.unlink()
    generator = json.loads((data / "images/generator.json").read_text())
    scorer = json.loads((data / "scores/scorer.json").read_text())
    write_table(out / "selected.parquet", selected, SELECTED)
    write_shards(out, _shards(selected, data / "images", params.samples_per_shard))
    write_json(out / "llava.json", llava_records(selected, generator["inputs"]["format"]))
    counts = {
        "candidates": len(candidates),
        **lost,
        "competing": len(pool),
        "asked": params.k,
        "selected": len(selected),
    }
    sourced = selected.merge(captions[["uid", "source"]], on="uid", how="left", validate="many_to_one")
    card = dataset_card(params, sourced, pool, counts, sizes, generator, scorer, pinned("artwork"))
    write_bytes(out / "README.md", card.encode())
    return counts | {"mean": _means(selected), "arms": sizes}


def _means(selected: pd.DataFrame) -> dict[str, float | None]:
    """Mean scores; None of an empty selection."""
    names = ("score", "clip_cosine", "ssim")
    return {name: round(float(selected[name].mean()), 4) if len(selected) else None for name in names}


def read_candidates(data: Path) -> pd.DataFrame:
    """All candidates in `data` with their scores, NaN where there are none."""
    manifest = read_table(data / "images/manifest.parquet", "dvc repro images")
    return with_scores(manifest, read_table(data / "scores/scores.parquet", "dvc repro scores"))


def with_scores(manifest: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """All candidates with their scores, NaN where there are none."""
    known = pc.is_in(pa.array(scores["key"]), value_set=pa.array(manifest["key"]))  # pandas' isin: 40 times as slow
    unknown = sorted(scores.loc[~known.to_numpy(zero_copy_only=False), "key"])
    if unknown:
        raise ValueError(
            f"data/scores/scores.parquet holds {len(unknown)} pictures that data/images does not, first {unknown[0]}: "
            "run `dvc repro scores`"
        )
    told = manifest[["key", "uid", "text", "concept", "shard"]]  # what sorting need not carry along stays behind
    return told.merge(scores[["key", "clip_cosine", "ssim"]], on="key", how="left", validate="one_to_one")


def read_captions(data: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The captions in `data` that were kept and those that were not, with `pictured` in place of the originals' bytes."""
    kept, rejected = (
        read_table(data / f"captions/{name}.parquet", "dvc repro captions") for name in ("kept", "rejected")
    )
    return _pictured(kept), _pictured(rejected)


def _pictured(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(pictured=table["original"].notna()).drop(columns="original")


def _shards(selected: pd.DataFrame, images: Path, size: int) -> Iterator[tuple[str, list]]:
    """The selection's samples, pictures byte for byte as painted, their JSON with rank and scores added."""
    told = selected.set_index("key")[["shard", "rank", "score", "clip_cosine", "ssim"]].to_dict("index")
    for keys in cut(told, size):
        wanted = set(keys)
        found: dict[str, dict[str, bytes]] = {}
        for shard in sorted({told[key]["shard"] for key in keys}):
            found |= {key: members for key, members in read_shard(images / shard) if key in wanted}
        for key in keys:
            if key not in found:
                raise ValueError(f"{images / told[key]['shard']}: picture {key} is missing; run `dvc repro images`")
            more = {name: value for name, value in told[key].items() if name != "shard"}
            document = json.loads(found[key]["json"]) | more
            found[key]["json"] = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        yield shard_name(keys), [(key, found[key]) for key in keys]
