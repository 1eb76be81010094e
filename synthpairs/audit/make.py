"""From everything made so far to data/audit: one row of measures and flags for each pair, and how often each flag stands."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.audit.flags import FLAGS, NSFW, PICTURE_COSINE, WRITTEN, counted, flags_of, sets_of
from synthpairs.audit.hashing import near_groups, nearest
from synthpairs.audit.looking import Look, prepare
from synthpairs.audit.overlap import Wording, words_of
from synthpairs.audit.params import Audit
from synthpairs.audit.references import References, read_references
from synthpairs.pairs import originals
from synthpairs.progress import progress
from synthpairs.schema import AUDIT, digest
from synthpairs.scores.params import Scores
from synthpairs.storage import WorkStore, file_sha256, read_shard, read_table, write_table

_PIECE = 1024  # real pairs whose findings are stored together
_MEASURES = {"cosines": PICTURE_COSINE, "text": WRITTEN, "nsfw": NSFW}  # flags that need one


def make_audit(params: Audit, scores: Scores, data: Path, out: Path) -> tuple[dict, dict]:
    """Write `out`/audit.parquet from images, selected, captions and tasks of `data`; returns metrics, tracked and not.

    What was found in a shard stays in a work store, so a killed run resumes and a change in curation looks at what is new.
    """
    rows = _pairs(data)
    references = read_references(data / "tasks")
    look = prepare(params, scores, references.pictures)
    found, reused = _found(rows, look, data)
    rows = rows.assign(**{name: None for name in AUDIT.names if name not in rows})
    table = [row | found[row["key"]] for row in rows.to_dict("records")]
    _compare_pictures(table, look, params)
    _compare_captions(table, references, params)
    for row in table:
        row["flags"] = flags_of(row, params)
    write_table(out / "audit.parquet", table, AUDIT)
    failed = sum(row["error"] is not None for row in table)
    if failed > params.max_failed_share * len(table):
        first = next(row for row in table if row["error"] is not None)
        raise ValueError(
            f"{failed} of {len(table)} pictures cannot be read, more than audit.max_failed_share of params.yaml allows; "
            f"the first, {first['key']}: {first['error']}"
        )
    return _metrics(pd.DataFrame(table), references, look, params), {"reused": reused}


def _pairs(data: Path) -> pd.DataFrame:
    """All candidates and, where that arm is made, its real pairs: key, uid, text, origin, selected, shard; by key."""
    columns = ["key", "uid", "text", "shard"]
    candidates = read_table(data / "images/manifest.parquet", "dvc repro images")[columns].assign(origin="synthetic")
    if candidates.empty:
        raise ValueError("data/images/manifest.parquet holds no picture: run `dvc repro images` and see its metrics")
    selected = set(read_table(data / "selected/selected.parquet", "dvc repro select")["key"])
    parts = [candidates.assign(selected=[key in selected for key in candidates["key"]])]
    if (data / "selected/pairs/real.parquet").exists():
        real = read_table(data / "selected/pairs/real.parquet", "dvc repro select")[columns]
        parts.append(real.assign(origin="real", selected=False))
    return pd.concat(parts, ignore_index=True).sort_values("key", ignore_index=True)


def _found(rows: pd.DataFrame, look: Look, data: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """What the look finds in each pair's picture by key, and how many of them were looked at before."""
    found: dict[str, dict[str, Any]] = {}
    reused = 0
    with (
        WorkStore("audit", digest(look.inputs)).locked() as store,
        progress("audit", len(rows), "pictures") as advance,
    ):
        for name, pictures, keys in _pictures(rows, data):
            stored = store.get(f"{name}.json")
            if stored is None:
                cells = list(look.take(pictures))
                missing = sorted(keys - {cell["key"] for cell in cells})
                cells += look.take((key, None) for key in missing)
                store.put(f"{name}.json", json.dumps(cells).encode())
            else:
                cells = json.loads(stored)
                reused += len(cells)
            found |= {cell["key"]: cell for cell in cells}
            advance(len(cells))
    return found, reused


def _pictures(rows: pd.DataFrame, data: Path) -> Iterator[tuple[str, Iterable[tuple[str, bytes | None]], set[str]]]:
    """The pictures by shard, and those of the real pairs: a name for the content, (key, file) pairs, the keys wanted."""
    synthetic = rows["origin"] == "synthetic"
    for shard, part in rows[synthetic].groupby("shard"):
        path, wanted = data / "images" / str(shard), set(part["key"])
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: run `dvc repro images` first")
        yield digest("shard", file_sha256(path), sorted(wanted)), _in_shard(path, wanted), wanted
    wanted = set(rows.loc[~synthetic, "key"])
    found = {uid: picture for uid, picture in originals(data) if picture and uid in wanted} if wanted else {}
    real = sorted(found.items())
    for start in range(0, len(real), _PIECE):
        part = real[start : start + _PIECE]
        name = digest("originals", *((key, hashlib.sha256(payload).hexdigest()) for key, payload in part))
        yield name, part, {key for key, _ in part}
    if lost := sorted(wanted - {key for key, _ in real}):
        yield digest("originals", lost), (), set(lost)


def _in_shard(path: Path, wanted: set[str]) -> Iterator[tuple[str, bytes | None]]:
    for key, members in read_shard(path):
        if key in wanted:
            yield key, members.get("png") or members.get("webp")


def _compare_pictures(table: list[dict], look: Look, params: Audit) -> None:
    """Put near duplicates and the nearest benchmark picture into the rows, which stand in order of their keys."""
    seen = [row for row in table if row["phash"] is not None]
    hashes = np.array([int(row["phash"], 16) for row in seen], np.uint64)
    groups = near_groups(hashes, params.hash_distance).tolist()
    sizes = Counter(groups)
    first: dict[int, str] = {}
    for row, group in zip(seen, groups, strict=True):
        first.setdefault(group, row["key"])
        row["group"] = first[group] if sizes[group] > 1 else None
    if look.benchmarks and seen:
        items = list(look.benchmarks)
        others = np.array([int(look.benchmarks[item], 16) for item in items], np.uint64)
        for row, bits, place in zip(seen, *(part.tolist() for part in nearest(hashes, others)), strict=True):
            row |= {"picture_bits": bits, "picture_bits_item": items[place]}


def _compare_captions(table: list[dict], references: References, params: Audit) -> None:
    wording = Wording(references.texts, params.caption_ngram)
    compared = {text: wording.compare(text) for text in {row["text"] for row in table}}
    for row in table:
        found = compared[row["text"]]
        row |= {"caption_share": found.share, "caption_exact": found.exact, "caption_item": found.item}


def _metrics(table: pd.DataFrame, references: References, look: Look, params: Audit) -> dict:
    """Counts that are the same for the same data; flags that need a measure which was not taken are null."""
    measured = [flag for flag in FLAGS if all(name in look.measures for name in _MEASURES if _MEASURES[name] == flag)]
    sets = counted(table, measured)
    for name, part in sets_of(table).items():
        groups = part.dropna(subset=["group"]).groupby("group")
        alike = groups["uid"].agg(["size", "nunique"])
        several = alike[alike["size"] > 1]
        told = {"groups": len(several), "largest_group": int(several["size"].max()) if len(several) else 0}
        told |= {"groups_of_several_captions": int((several["nunique"] > 1).sum())}
        short = sum(len(words_of(text)) < params.caption_ngram for text in part["text"])
        sets[name] |= told | {"short_captions": short}
    limits = {name: getattr(params, name) for name in ("hash_distance", "caption_ngram", "caption_share", "cosine_min")}
    against = {"texts": len(references.texts), "pictures": len(look.benchmarks)}
    return {"sets": sets, "benchmarks": against, "limits": limits}
