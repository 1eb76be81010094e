"""Duplicates and contamination: a row of measures and flags for each pair, and the number of pairs with each flag."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.core.schema import CONTAMINATION, digest
from synthpairs.core.storage import WorkStore, file_sha256, read_table, write_table
from synthpairs.evaluation.contamination.hashing import near_groups, nearest
from synthpairs.evaluation.contamination.inspection import Inspector, load_inspector
from synthpairs.evaluation.contamination.overlap import NgramIndex, References, read_references, words_of
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.runtime.progress import progress
from synthpairs.scoring.params import Scores
from synthpairs.selection.training_pairs import generated_images, keyed, originals

UNREADABLE = "unreadable"
DUPLICATE = "near-duplicate"
IMAGE_HASH, IMAGE_COSINE = "benchmark-picture-hash", "benchmark-picture-cosine"
CAPTION_EXACT, CAPTION_SHARE = "benchmark-caption-exact", "benchmark-caption"
TEXT, NSFW = "text", "nsfw"
FLAGS = (UNREADABLE, DUPLICATE, IMAGE_HASH, IMAGE_COSINE, CAPTION_EXACT, CAPTION_SHARE, TEXT, NSFW)
_CHUNK = 256  # real pairs that are in memory, and whose results are stored, together
_NEEDS = {IMAGE_COSINE: "cosines", TEXT: "text", NSFW: "nsfw"}  # the measure behind a flag


def measure_contamination(params: Contamination, scores: Scores, data: Path, out: Path) -> tuple[dict, dict]:
    """Write `out`/contamination.parquet from images, selection, captions and tasks of `data`; return tracked, volatile metrics.

    Results of each shard stay in a work store, so a killed run resumes and a changed curation inspects only new images.
    """
    rows = _read_pairs(data)
    references = read_references(data / "tasks")
    inspector = load_inspector(params, scores, references.images)
    results, reused = _inspect(rows, inspector, data)
    rows = rows.assign(**{name: None for name in CONTAMINATION.names if name not in rows})
    table = [row | results[row["key"]] for row in rows.to_dict("records")]
    _compare_images(table, inspector, params)
    index = NgramIndex(references.texts, params.caption_ngram)
    overlaps = {text: index.compare(text) for text in {row["text"] for row in table}}
    for row in table:
        overlap = overlaps[row["text"]]
        row |= {"caption_share": overlap.share, "caption_exact": overlap.exact, "caption_item": overlap.item}
        row["flags"] = _flags(row, params)
    write_table(out / "contamination.parquet", table, CONTAMINATION)
    failed = [row for row in table if row["error"] is not None]
    if len(failed) > params.max_failed_share * len(table):
        raise ValueError(
            f"{len(failed)} of {len(table)} images cannot be read, more than contamination.max_failed_share allows; "
            f"the first, {failed[0]['key']}: {failed[0]['error']}"
        )
    return _metrics(pd.DataFrame(table), references, inspector, params), {"reused": reused}


def _read_pairs(data: Path) -> pd.DataFrame:
    """All candidates, and real pairs if that arm is made: key, uid, text, shard, origin, selected; sorted by key."""
    columns = ["key", "uid", "text", "shard"]
    candidates = read_table(data / "images/manifest.parquet", "dvc repro images")[columns].assign(origin="synthetic")
    if candidates.empty:
        raise ValueError("data/images/manifest.parquet holds no image: run `dvc repro images` and see its metrics")
    selected = set(read_table(data / "selection/selected.parquet", "dvc repro select")["key"])
    parts = [candidates.assign(selected=[key in selected for key in candidates["key"]])]
    if (data / "selection/pairs/real.parquet").exists():
        real = read_table(data / "selection/pairs/real.parquet", "dvc repro select")[columns]
        parts.append(real.assign(origin="real", selected=False))
    return pd.concat(parts, ignore_index=True).sort_values("key", ignore_index=True)


def _inspect(rows: pd.DataFrame, inspector: Inspector, data: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Columns of CONTAMINATION by key of each pair, and the number that comes from the work store."""
    results: dict[str, dict[str, Any]] = {}
    reused = 0
    with (
        WorkStore("contamination", digest(inspector.inputs)).locked() as store,
        progress("contamination", len(rows), "images") as advance,
    ):
        for name, images, keys in _images(rows, data):
            cells = store.get_json(
                f"{name}.json", lambda value, wanted: {cell["key"] for cell in value} == wanted, keys
            )
            if cells is None:
                cells = list(inspector.inspect(images))
                cells += inspector.inspect((key, None) for key in sorted(keys - {cell["key"] for cell in cells}))
                cells = store.put_json(f"{name}.json", cells)
            else:
                reused += len(cells)
            results |= {cell["key"]: cell for cell in cells}
            advance(len(cells))
    return results, reused


def _images(rows: pd.DataFrame, data: Path) -> Iterator[tuple[str, Iterable[tuple[str, bytes | None]], set[str]]]:
    """Images by shard, then of real pairs by chunk: digest of the content, (key, encoded image) pairs, all keys."""
    synthetic = rows["origin"] == "synthetic"
    for shard, part in rows[synthetic].groupby("shard"):
        sha256, wanted = file_sha256(data / "images" / str(shard)), set(part["key"])
        yield digest("shard", sha256, sorted(wanted)), generated_images(part, data), wanted
    wanted = set(rows.loc[~synthetic, "key"])
    # Of equal captions the first picture, as the arm `real` trains on.
    real = (pair for pair in keyed(originals(data, wanted)) if pair[0] in wanted)
    missing = set(wanted)
    while part := list(islice(real, _CHUNK)):
        keys = {key for key, _ in part}
        missing -= keys
        yield digest("originals", *((key, hashlib.sha256(payload).hexdigest()) for key, payload in part)), part, keys
    if missing:
        yield digest("originals", sorted(missing)), (), missing


def _compare_images(table: list[dict], inspector: Inspector, params: Contamination) -> None:
    """Put near-duplicate groups and the nearest benchmark image into the rows, which are sorted by key."""
    hashed = [row for row in table if row["phash"] is not None]
    hashes = np.array([int(row["phash"], 16) for row in hashed], np.uint64)
    groups = near_groups(hashes, params.hash_distance).tolist()
    sizes = Counter(groups)
    first: dict[int, str] = {}
    for row, group in zip(hashed, groups, strict=True):
        first.setdefault(group, row["key"])
        row["group"] = first[group] if sizes[group] > 1 else None
    if inspector.benchmarks and hashed:
        items = list(inspector.benchmarks)
        others = np.array(list(inspector.benchmarks.values()), np.uint64)
        for row, bits, index in zip(hashed, *(part.tolist() for part in nearest(hashes, others)), strict=True):
            row |= {"picture_bits": bits, "picture_bits_item": items[index]}


def _flags(row: dict[str, Any], params: Contamination) -> list[str]:
    """Flags of a row of CONTAMINATION, in the order of FLAGS; none for what was not measured."""
    bits, cosine = row["picture_bits"], row["picture_cosine"]
    flagged = {
        UNREADABLE: row["error"] is not None,
        DUPLICATE: row["group"] is not None,
        IMAGE_HASH: bits is not None and bits <= params.hash_distance,
        IMAGE_COSINE: cosine is not None and params.cosine_min is not None and cosine >= params.cosine_min,
        CAPTION_EXACT: row["caption_exact"],
        CAPTION_SHARE: row["caption_share"] > 0 and row["caption_share"] >= params.caption_share,
        TEXT: bool(row["written"]),
        NSFW: row["nsfw"] is not None and params.nsfw is not None and row["nsfw"] >= params.nsfw.min,
    }
    return [flag for flag, value in flagged.items() if value]


def _metrics(table: pd.DataFrame, references: References, inspector: Inspector, params: Contamination) -> dict:
    """Counts for each set of pairs; null for flags whose measure was not taken."""
    synthetic = table["origin"] == "synthetic"
    parts = {"candidates": table[synthetic], "selected": table[table["selected"]], "real": table[~synthetic]}
    sets: dict[str, dict[str, int | None]] = {}
    measured = {"", *inspector.measures}
    for name, part in parts.items():
        flags = part["flags"].explode()
        groups = part.dropna(subset=["group"]).groupby("group")["uid"].agg(["size", "nunique"])
        groups = groups[groups["size"] > 1]
        sets[name] = {
            "pairs": len(part),
            **{flag: int((flags == flag).sum()) if _NEEDS.get(flag, "") in measured else None for flag in FLAGS},
            "groups": len(groups),
            "largest_group": int(groups["size"].max()) if len(groups) else 0,
            "groups_of_several_captions": int((groups["nunique"] > 1).sum()),
            "short_captions": sum(len(words_of(text)) < params.caption_ngram for text in part["text"]),
        }
    limits = {name: getattr(params, name) for name in ("hash_distance", "caption_ngram", "caption_share", "cosine_min")}
    benchmarks = {"texts": len(references.texts), "pictures": len(inspector.benchmarks)}
    return {"sets": sets, "benchmarks": benchmarks, "limits": limits}
