"""Candidates for captions, be they pictures or token grids: keys, a work store that lets a killed run resume, shards, tables.

What is missing is made batch by batch, by this process or by the crew that engine.yaml asks for.
"""

import json
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from synthpairs.core.determinism import off_accelerators
from synthpairs.core.schema import CANDIDATES, FAILED, candidate_key, digest, noise_seed
from synthpairs.core.shards import cut, shard_name, write_shards
from synthpairs.core.storage import WorkStore, code_folder, read_shard, shard_bytes, write_json, write_table
from synthpairs.generation.batch import Craft, Generator, Made, Maker, MakerElsewhere, files_hash
from synthpairs.runtime.engine.engine import load_engine
from synthpairs.runtime.engine.hire import hired
from synthpairs.runtime.engine.run import Lost, run
from synthpairs.runtime.engine.tuning import told
from synthpairs.runtime.progress import progress
from synthpairs.runtime.time_budget import Budget

log = logging.getLogger(__name__)
SMALLEST = "smallest_batch.json"  # in a work store, if it came to that
Work = Callable[[Iterable[Sequence[dict]]], Iterator[tuple[Sequence[dict], Made | Lost]]]


def make_candidates(
    captions: pd.DataFrame, recipe: Callable[[], Craft], out: Path, only: Container[str] | None = None
) -> tuple[dict, dict]:
    """Write `out` (shards, manifest.parquet, failed.parquet, generator.json); returns metrics, tracked and not.

    `recipe` (picklable) loads the models: once here, to plan, and once in every worker of a crew, to make. Of the candidates,
    those with a key in `only` are made, or all. What is made stays in a work store, so a killed run resumes and a change in
    curation makes only what is new.
    """
    engine = load_engine()
    with hired(engine) as crew:
        with off_accelerators(crew is not None):
            craft = recipe()
        generator, params = craft.generator, craft.generator.params
        device = crew.device if crew else generator.device.type
        tuning, threads = told(engine), torch.get_num_threads()
        elsewhere = partial(MakerElsewhere, recipe, generator.fingerprint, device, threads)
        factory = elsewhere if crew else partial(Maker, craft)
        work = partial(run, factory=factory, crew=crew, tries=engine.tries, lease_s=engine.lease_s)
        candidates = [row for row in plan(captions, generator) if only is None or row["key"] in only]
        apart = [extra for extra in (tuning, dict(craft.added)) if extra]  # files of others are not taken up
        low_bits = [params.batch, device, threads, *apart]
        with WorkStore(craft.stage, digest(generator.fingerprint, *low_bits), craft.recipe).locked() as store:
            where = _finished(store, craft.noun)
            missing = [row for row in candidates if row["key"] not in where]
            log.info("%d of %d %ss are there already", len(candidates) - len(missing), len(candidates), craft.noun)
            made, failed = _make_missing(missing, craft, store, int(params.max_failed_share * len(candidates)), work)
            where |= made
            kept = [row for row in candidates if row["key"] in where]
            write_shards(out, _shards(kept, where, store.path, craft))
            smallest = {"smallest_batch": int(found)} if (found := store.get(SMALLEST)) else {}
    write_table(out / "manifest.parquet", kept, CANDIDATES)
    write_table(out / "failed.parquet", failed, FAILED)
    described = {"fingerprint": generator.fingerprint, "inputs": generator.inputs}
    here = {"batch": params.batch, "device": device}
    write_json(out / "generator.json", described | here | tuning | smallest | dict(craft.added))
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
    if captions.empty:  # which tokenizers do not take
        return []
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
                if files_hash(members) != sha256:
                    raise ValueError(f"{path}: the {noun} of {key} is not what was stored")
                where[key] = path.name
        except (ValueError, KeyError) as error:
            log.warning("%s is damaged and its %ss are made again (%s)", path, noun, error)
            path.unlink()
            where = {key: piece for key, piece in where.items() if piece != path.name}
    return where


def _make_missing(
    rows: Sequence[dict], craft: Craft, store: WorkStore, may_fail: int, work: Work
) -> tuple[dict[str, str], list[dict]]:
    """Have candidates made into the store; returns key -> piece, and the failed ones as FAILED rows by key.

    Those that killed the workers which took them fail too; the store remembers them, so that no later run with
    this code pays for them.
    Raises ValueError as soon as more than `may_fail` have failed, so that a broken set-up does not spend the night, and
    TimeoutError when its budget of hours is used up.
    """
    size = smallest = craft.generator.params.batch
    budget = Budget.from_environment()
    lost_file = f"lost-{code_folder()}.json"
    lost: dict[str, str] = json.loads(store.get(lost_file) or b"{}")
    known = [row for row in rows if row["key"] in lost]
    todo = [row for row in rows if row["key"] not in lost]
    if known:
        log.warning(
            "%d %ss are not tried again, for they killed workers; %s lists them", len(known), craft.noun, lost_file
        )
    failed = [{"key": row["key"], "uid": row["uid"], "error": lost[row["key"]]} for row in known]
    where: dict[str, str] = {}
    done = len(known)
    with progress(craft.stage, len(todo), f"{craft.noun}s") as advance:
        for batch, made in work(todo[start : start + size] for start in range(0, len(todo), size)):
            if isinstance(made, Lost):
                lost |= {row["key"]: made.reason for row in batch}
                store.put(lost_file, json.dumps(lost, sort_keys=True).encode())
                made = Made([], {row["key"]: made.reason for row in batch}, smallest)
            if made.samples:
                piece = f"{digest(*(key for key, _ in made.samples))}.tar"
                store.put(piece, shard_bytes(made.samples))
                where |= {key: piece for key, _ in made.samples}
            if made.batch < smallest:
                if smallest == size:
                    log.warning(
                        "memory is short: less than %d %ss at once from here on; low bits may differ", size, craft.noun
                    )
                smallest = made.batch
                store.put(SMALLEST, str(min(smallest, int(store.get(SMALLEST) or smallest))).encode())
            for row in batch:
                if error := made.failed.get(row["key"]):
                    failed.append({"key": row["key"], "uid": row["uid"], "error": error})
                    log.warning(
                        "no %s for candidate %s of caption %s: %s", craft.noun, row["number"], row["uid"], error
                    )
            done += len(batch)
            if len(failed) > may_fail:
                raise ValueError(
                    f"{len(failed)} of {done} {craft.noun}s failed, more than {craft.stage}."
                    f"max_failed_share of params.yaml allows; the first, for caption {failed[0]['uid']}: "
                    f"{failed[0]['error']}"
                )
            advance(len(batch))
            budget.check(done, len(rows), f"{craft.noun}s")
    return where, sorted(failed, key=lambda row: row["key"])


def _shards(rows: list[dict], where: dict[str, str], store: Path, craft: Craft) -> Iterator[tuple[str, list]]:
    """Names and samples of the shards; notes each row's `shard` and `sha256` on the way."""
    by_key = {row["key"]: row for row in rows}
    for keys in cut(by_key, craft.generator.params.samples_per_shard):
        name, stored = shard_name(keys), _stored(keys, where, store)
        samples = []
        for key in keys:
            row, files = by_key[key], stored[key]
            row["sha256"] = files_hash(files)
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
