"""Candidates for captions, be they pictures or token grids: keys, a work store that lets a killed run resume, shards, tables.

What is missing is made batch by batch; one bad caption costs its own candidates only.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch

from synthpairs.budget import Budget
from synthpairs.progress import progress
from synthpairs.schema import CANDIDATES, FAILED, candidate_key, digest, noise_seed
from synthpairs.shards import cut, shard_name, write_shards
from synthpairs.storage import WorkStore, read_shard, shard_bytes, write_json, write_table

log = logging.getLogger(__name__)


class Settings(Protocol):
    """What every params section about candidates says."""

    @property
    def candidates(self) -> int:
        """How many for each caption."""

    @property
    def batch(self) -> int:
        """How many are made at once."""

    @property
    def samples_per_shard(self) -> int:
        """About, or fewer."""

    @property
    def max_failed_share(self) -> float:
        """Of the candidates, above which the stage fails."""


class Generator(Protocol):
    """A loaded model that makes them."""

    inputs: dict[str, Any]  # everything that changes what it makes, spelled out
    fingerprint: str  # of the inputs
    device: torch.device
    tokenizer: Any  # the one that cuts prompts first

    @property
    def params(self) -> Settings:
        """Its settings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Craft:
    """How one stage makes its candidates."""

    stage: str  # its section of params.yaml and the name of its work store
    noun: str  # what one of them is called
    generator: Generator
    make: Callable[[Sequence[str], Sequence[str]], Iterable[Any]]  # a result for each of a batch's keys and texts
    encode: Callable[[Any], dict[str, bytes]]  # a result's files by extension; ValueError says why it is not one
    told: Mapping[str, Any]  # entries of every sample's json beside its row of the manifest
    added: Mapping[str, Any] = field(default_factory=dict)  # what files carry beside what was made; no part of any key
    count: Callable[[Sequence[str]], dict[str, Any]] | None = (
        None  # metrics of the captions over those that all crafts have
    )


def make_candidates(
    captions: pd.DataFrame, craft: Craft, out: Path, only: Container[str] | None = None
) -> tuple[dict, dict]:
    """Write `out` (shards, manifest.parquet, failed.parquet, generator.json); returns metrics, tracked and not.

    Of the candidates, those with a key in `only` are made, or all. What is made stays in a work store, so a killed run
    resumes and a change in curation makes only what is new. The store is never emptied by itself:
    `rm -r .dvc/tmp/work/STAGE` frees its space and costs no result.
    """
    generator, params = craft.generator, craft.generator.params
    candidates = [row for row in plan(captions, generator) if only is None or row["key"] in only]
    low_bits = params.batch, generator.device.type, torch.get_num_threads()
    added = (dict(craft.added),) if craft.added else ()  # files without it lie in another store, and are not taken up
    with WorkStore(craft.stage, digest(generator.fingerprint, *low_bits, *added)).locked() as store:
        where = _finished(store, craft.noun)
        missing = [row for row in candidates if row["key"] not in where]
        log.info("%d of %d %ss are there already", len(candidates) - len(missing), len(candidates), craft.noun)
        made, failed = _make_missing(missing, craft, store, int(params.max_failed_share * len(candidates)))
        where |= made
        kept = [row for row in candidates if row["key"] in where]
        write_shards(out, _shards(kept, where, store.path, craft))
    write_table(out / "manifest.parquet", kept, CANDIDATES)
    write_table(out / "failed.parquet", failed, FAILED)
    described = {"fingerprint": generator.fingerprint, "inputs": generator.inputs}
    here = {"batch": params.batch, "device": generator.device.type}
    write_json(out / "generator.json", described | here | dict(craft.added))
    limit = generator.tokenizer.model_max_length
    metrics = {
        "captions": len(captions),
        "candidates": len(candidates),
        "made": len(kept),
        "failed": len(failed),
        "prompts_truncated": len({row["uid"] for row in candidates if row["tokens"] > limit}),
    }
    if craft.count:
        metrics |= craft.count(captions["text"].tolist())
    return metrics, {"reused": len(candidates) - len(missing)}


def plan(captions: pd.DataFrame, generator: Generator) -> list[dict]:
    """All candidates of all captions, ordered by key; rows as in CANDIDATES less `shard` and `sha256`."""
    assert captions["uid"].is_unique
    texts = captions["text"].tolist()
    rows = []
    for uid, text, concept, ids in zip(
        captions["uid"], texts, captions["concept"], generator.tokenizer(texts, truncation=False).input_ids, strict=True
    ):
        for number in range(generator.params.candidates):
            key = candidate_key(uid, number, generator.fingerprint)
            rows.append(
                {
                    "key": key,
                    "uid": uid,
                    "text": text,
                    "concept": concept,
                    "number": number,
                    "seed": noise_seed(key),
                    "generator": generator.fingerprint,
                    "tokens": len(ids),
                }
            )
    return sorted(rows, key=lambda row: row["key"])


def _finished(store: WorkStore, noun: str) -> dict[str, str]:
    """Which piece of the store holds a key's files, unchanged; damaged pieces are removed, to be made again."""
    where: dict[str, str] = {}
    for path in sorted(store.path.glob("*.tar")):
        try:
            for key, members in read_shard(path):
                sha256 = members.pop("sha256").decode()
                if _hash(members) != sha256:
                    raise ValueError(f"{path}: the {noun} of {key} is not what was stored")
                where[key] = path.name
        except (ValueError, KeyError) as error:
            log.warning("%s is damaged and its %ss are made again (%s)", path, noun, error)
            path.unlink()
            where = {key: piece for key, piece in where.items() if piece != path.name}
    return where


def _hash(files: Mapping[str, bytes]) -> str:
    """SHA-256 of a candidate's files, one after the other by extension."""
    return hashlib.sha256(b"".join(payload for _, payload in sorted(files.items()))).hexdigest()


def _make_missing(
    rows: Sequence[dict], craft: Craft, store: WorkStore, may_fail: int
) -> tuple[dict[str, str], list[dict]]:
    """Make candidates (in the given order) into the store; returns key -> piece, and the failed ones as FAILED rows.

    Raises ValueError as soon as more than `may_fail` have failed, so that a broken set-up does not spend the night, and
    TimeoutError when its budget of hours is used up.
    """
    size, budget = craft.generator.params.batch, Budget.from_environment()
    where: dict[str, str] = {}
    failed: list[dict] = []
    with ThreadPoolExecutor() as pool, progress(craft.stage, len(rows), f"{craft.noun}s") as advance:
        for start in range(0, len(rows), size):
            batch = rows[start : start + size]
            encoded = pool.map(lambda result: _encoded(craft, result), _made(craft, batch))
            samples = []
            for row, files in zip(batch, encoded, strict=True):
                if isinstance(files, str):
                    failed.append({"key": row["key"], "uid": row["uid"], "error": files})
                    log.warning(
                        "no %s for candidate %s of caption %s: %s", craft.noun, row["number"], row["uid"], files
                    )
                else:
                    samples.append((row["key"], files | {"sha256": _hash(files).encode()}))
            if samples:
                piece = f"{digest(*(key for key, _ in samples))}.tar"
                store.put(piece, shard_bytes(samples))
                where |= {key: piece for key, _ in samples}
            if len(failed) > may_fail:
                raise ValueError(
                    f"{len(failed)} of {start + len(batch)} {craft.noun}s failed, more than {craft.stage}."
                    f"max_failed_share of params.yaml allows; the first, for caption {failed[0]['uid']}: "
                    f"{failed[0]['error']}"
                )
            advance(len(batch))
            budget.check(start + len(batch), len(rows), f"{craft.noun}s")
    return where, failed


def _made(craft: Craft, batch: Sequence[dict]) -> list[Any]:
    """A result, or an error as text, for each candidate; when a batch raises, its candidates are tried one by one."""
    try:
        return list(craft.make([row["key"] for row in batch], [row["text"] for row in batch]))
    except Exception as error:  # there is no saying what a pipeline raises on a prompt that it cannot take
        if len(batch) == 1:
            return [f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]]
        return [result for row in batch for result in _made(craft, [row])]


def _encoded(craft: Craft, result: Any) -> dict[str, bytes] | str:
    """The result's files, or why there are none."""
    if isinstance(result, str):
        return result
    try:
        return craft.encode(result)
    except ValueError as error:
        return str(error)


def _shards(rows: list[dict], where: dict[str, str], store: Path, craft: Craft) -> Iterator[tuple[str, list]]:
    """Names and samples of the shards; notes each row's `shard` and `sha256` on the way."""
    by_key = {row["key"]: row for row in rows}
    for keys in cut(by_key, craft.generator.params.samples_per_shard):
        name, stored = shard_name(keys), _stored(keys, where, store)
        samples = []
        for key in keys:
            row, files = by_key[key], stored[key]
            row["sha256"] = _hash(files)
            about = {column: value for column, value in row.items() if column != "text"}
            document = json.dumps(about | dict(craft.told), sort_keys=True, ensure_ascii=False)
            samples.append((key, files | {"txt": row["text"].encode(), "json": document.encode()}))
            row["shard"] = name
        yield name, samples


def _stored(keys: Sequence[str], where: dict[str, str], folder: Path) -> dict[str, dict[str, bytes]]:
    """The stored files of some keys, less their hash."""
    wanted = set(keys)
    return {
        key: {extension: payload for extension, payload in files.items() if extension != "sha256"}
        for piece in sorted({where[key] for key in keys})
        for key, files in read_shard(folder / piece)
        if key in wanted
    }
