"""Score every candidate: one shard in memory at a time, one row per candidate, failures as rows of their own."""

import io
import json
import logging
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from synthpairs.progress import progress
from synthpairs.schema import FAILED, SCORES, digest
from synthpairs.scores.clip import ClipScorer
from synthpairs.scores.params import Scores, Ssim
from synthpairs.scores.ssim import self_similarity
from synthpairs.storage import WorkStore, file_sha256, read_shard, write_json, write_table

log = logging.getLogger(__name__)
DECIMALS = 6  # of a score; float32 carries no more


def score_images(manifest: pd.DataFrame, params: Scores, images: Path, out: Path) -> tuple[dict, dict]:
    """Write `out` (scores.parquet, failed.parquet, scorer.json); returns metrics, tracked and not.

    Scored shards stay in a work store, so a killed run resumes and a change in curation scores only changed shards.
    """
    if manifest.empty:
        raise ValueError("data/images/manifest.parquet holds no picture: run `dvc repro images` and see its metrics")
    scorer = ClipScorer(
        "scores", params.clip, params.pretrained,
        prefix=params.prefix, precision=params.precision, batch=params.batch,
    )  # fmt: skip
    spec = params.ssim
    inputs = {"clip": scorer.inputs, "ssim": {name: getattr(spec, name) for name in spec.__slots__}}
    low_bits = params.batch, scorer.device.type, torch.get_num_threads()
    texts: dict[str, Tensor] = {}  # a caption's embedding serves all its candidates
    scored: list[dict] = []
    failed: list[dict] = []
    reused = 0
    with (
        ThreadPoolExecutor() as pool,
        WorkStore("scores", digest(inputs, *low_bits)).locked() as store,
        progress("scores", len(manifest), "pictures") as advance,
    ):
        for shard, rows in manifest.groupby("shard"):
            piece = f"{digest(shard, file_sha256(images / str(shard)))}.json"
            stored = store.get(piece)
            if stored is None:
                result = score_shard(images / str(shard), rows.to_dict("records"), scorer, spec, texts, pool)
                store.put(piece, json.dumps(result).encode())
            else:
                result = json.loads(stored)
                reused += len(rows)
            scored += result["scored"]
            failed += result["failed"]
            advance(len(rows))
    if len(failed) > params.max_failed_share * len(manifest):
        raise ValueError(
            f"{len(failed)} of {len(manifest)} pictures have no score, more than scores.max_failed_share of "
            f"params.yaml allows; the first, {failed[0]['key']}: {failed[0]['error']}"
        )
    table = pd.DataFrame(scored, columns=SCORES.names).sort_values("key", ignore_index=True)
    write_table(out / "scores.parquet", table, SCORES)
    write_table(out / "failed.parquet", sorted(failed, key=lambda row: row["key"]), FAILED)
    write_json(out / "scorer.json", {"inputs": inputs, "batch": params.batch, "device": scorer.device.type})
    metrics = {
        "n": len(table),
        "failed": len(failed),
        "texts_truncated": int(table.loc[table["clip_tokens"] > scorer.token_limit, "uid"].nunique()),
        "clip_cosine": _summary(table["clip_cosine"]),
        "ssim": _summary(table["ssim"]),
    }
    return metrics, {"reused": reused}


def score_shard(
    path: Path, rows: Sequence[dict], scorer: ClipScorer, spec: Ssim, texts: dict[str, Tensor], pool: Executor
) -> dict:
    """Scores of one shard's candidates: {"scored": SCORES rows, "failed": FAILED rows}, in the given order.

    `texts` keeps caption embeddings by uid between shards. A picture that is missing or cannot be read fails alone.
    """
    samples = dict(read_shard(path))
    new = {row["uid"]: row["text"] for row in rows if row["uid"] not in texts}
    if new:
        texts.update(zip(new, scorer.embed_texts(list(new.values())), strict=True))
    size = scorer.batch
    scored, failed = [], []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        opened = list(pool.map(lambda row: _open(samples.get(row["key"], {}), scorer, spec), batch))
        readable = [(row, *result) for row, result in zip(batch, opened, strict=True) if not isinstance(result, str)]
        cosines: list[float] = []
        if readable:
            pictures = scorer.embed_pictures([view for _, view, _ in readable])
            captions = [texts[row["uid"]] for row, _, _ in readable]
            cosines = [float(one @ other) for one, other in zip(pictures, captions, strict=True)]
        errors = [(row, result) for row, result in zip(batch, opened, strict=True) if isinstance(result, str)]
        for (row, _, ssim), cosine in zip(readable, cosines, strict=True):
            if not np.isfinite([cosine, ssim]).all():
                errors.append((row, f"scores are not finite: clip_cosine {cosine}, ssim {ssim}"))
                continue
            scored.append(
                {
                    "key": row["key"],
                    "uid": row["uid"],
                    "concept": row["concept"],
                    "clip_cosine": round(cosine, DECIMALS),
                    "ssim": round(ssim, DECIMALS),
                    "clip_tokens": scorer.count_tokens(row["text"]),
                }
            )
        for row, error in errors:
            log.warning("%s: no score for %s: %s", path, row["key"], error)
            failed.append({"key": row["key"], "uid": row["uid"], "error": error})
    return {"scored": scored, "failed": failed}


def _open(members: dict[str, bytes], scorer: ClipScorer, spec: Ssim) -> tuple[Tensor, float] | str:
    """A picture's view for CLIP and its SSIM, or what is wrong with it."""
    payload = members.get("png") or members.get("webp")
    if payload is None:
        return "the shard holds no picture under this key"
    try:
        picture = Image.open(io.BytesIO(payload)).convert("RGB")
        return scorer.view(picture), self_similarity(picture, spec)
    except Exception as error:  # there is no saying what a broken file makes its decoder raise
        return f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


def _summary(values: pd.Series) -> dict[str, float]:
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    named = {"mean": values.mean(), "q25": low, "median": middle, "q75": high}
    return {name: round(float(value), 4) for name, value in named.items()}
