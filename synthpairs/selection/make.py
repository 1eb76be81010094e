"""From scores to data/selected: the ranking, the arms, and the data set in the forms that others read."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from synthpairs.core.arms import Arm
from synthpairs.core.assets import pinned
from synthpairs.core.schema import PAIRS, SELECTED
from synthpairs.core.shards import cut, shard_name, write_shards
from synthpairs.core.storage import read_shard, write_bytes, write_json, write_table
from synthpairs.report.dataset_card import dataset_card
from synthpairs.selection.arms import make_arm
from synthpairs.selection.candidates import read_candidates, read_captions
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates, select_top_k
from synthpairs.selection.records import llava_records

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


def _shards(selected: pd.DataFrame, images: Path, size: int) -> Iterator[tuple[str, list]]:
    """The selection's samples, pictures byte for byte as painted, their JSON with rank and scores added."""
    rows = selected.set_index("key")[["shard", "rank", "score", "clip_cosine", "ssim"]].to_dict("index")
    for keys in cut(rows, size):
        wanted, samples = set(keys), dict[str, dict[str, bytes]]()
        for shard in sorted({rows[key]["shard"] for key in keys}):
            samples |= {key: members for key, members in read_shard(images / shard) if key in wanted}
        for key in keys:
            row, shard = dict(rows[key]), rows[key]["shard"]
            if key not in samples:
                raise ValueError(f"{images / shard}: picture {key} is missing; run `dvc repro images`")
            del row["shard"]
            document = json.loads(samples[key]["json"]) | row
            samples[key]["json"] = json.dumps(document, sort_keys=True, ensure_ascii=False).encode()
        yield shard_name(keys), [(key, samples[key]) for key in keys]
