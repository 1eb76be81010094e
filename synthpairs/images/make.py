"""From curated captions to data/images: plan the candidates, paint what is missing, write shards and manifest."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch

from synthpairs.images.generator import Generator
from synthpairs.images.painting import finished, paint_missing, pictures
from synthpairs.images.params import Images
from synthpairs.schema import CANDIDATES, FAILED, candidate_key, digest, noise_seed
from synthpairs.shards import cut, shard_name, write_shards
from synthpairs.storage import WorkStore, write_json, write_table

log = logging.getLogger(__name__)


def make_images(captions: pd.DataFrame, params: Images, out: Path) -> tuple[dict, dict]:
    """Write `out` (shards, manifest.parquet, failed.parquet, generator.json); returns metrics, tracked and not.

    Pictures stay in a work store, so a killed run resumes and a change in curation paints only new captions. The store
    is never emptied by itself: `rm -r .dvc/tmp/work/images` frees its space and costs no result.
    """
    if captions.empty:
        raise ValueError("data/captions/kept.parquet holds no caption: loosen the filters in params.yaml (captions)")
    generator = Generator(params)
    candidates = plan(captions, generator)
    low_bits = params.batch, generator.device.type, torch.get_num_threads()
    with WorkStore("images", digest(generator.fingerprint, *low_bits)).locked() as store:
        where = finished(store, params.format)
        missing = [row for row in candidates if row["key"] not in where]
        log.info("%d of %d pictures are there already", len(candidates) - len(missing), len(candidates))
        painted, failed = paint_missing(missing, generator, store, int(params.max_failed_share * len(candidates)))
        where |= painted
        made = [row for row in candidates if row["key"] in where]
        write_shards(out, shards(made, where, store.path, params))
    write_table(out / "manifest.parquet", made, CANDIDATES)
    write_table(out / "failed.parquet", failed, FAILED)
    described = {"fingerprint": generator.fingerprint, "inputs": generator.inputs}
    write_json(out / "generator.json", described | {"batch": params.batch, "device": generator.device.type})
    cut_off = {row["uid"] for row in candidates if row["tokens"] > generator.token_limit}
    metrics = {
        "captions": len(captions),
        "candidates": len(candidates),
        "made": len(made),
        "failed": len(failed),
        "prompts_truncated": len(cut_off),
    }
    return metrics, {"reused": len(candidates) - len(missing)}


def plan(captions: pd.DataFrame, generator: Generator) -> list[dict]:
    """All candidates of all captions, ordered by key; rows as in CANDIDATES less `shard` and `sha256`."""
    assert captions["uid"].is_unique
    texts = captions["text"].tolist()
    rows = []
    for uid, text, concept, tokens in zip(
        captions["uid"], texts, captions["concept"], generator.count_tokens(texts), strict=True
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
                    "tokens": tokens,
                }
            )
    return sorted(rows, key=lambda row: row["key"])


def shards(rows: list[dict], where: dict[str, str], store: Path, params: Images) -> Iterator[tuple[str, list]]:
    """Names and samples of the shards; notes each row's `shard` and `sha256` on the way."""
    by_key = {row["key"]: row for row in rows}
    for keys in cut(by_key, params.samples_per_shard):
        name, painted = shard_name(keys), pictures(keys, where, store, params.format)
        samples = []
        for key in keys:
            row = by_key[key]
            row["sha256"] = hashlib.sha256(painted[key]).hexdigest()
            told = {column: value for column, value in row.items() if column != "text"}
            document = json.dumps(told, sort_keys=True, ensure_ascii=False)
            members = {params.format: painted[key], "txt": row["text"].encode(), "json": document.encode()}
            samples.append((key, members))
            row["shard"] = name
        yield name, samples
