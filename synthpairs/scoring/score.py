"""Score every candidate: one shard in memory at a time, one row per candidate, failures as rows of their own."""

import json
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import Tensor

from synthpairs.core.schema import FAILED, SCORES, digest
from synthpairs.core.storage import WorkStore, file_sha256, read_shard, write_json, write_table
from synthpairs.models.clip import ClipScorer
from synthpairs.runtime.progress import progress
from synthpairs.scoring.batched import self_similarities
from synthpairs.scoring.opening import Opened, openers, worker_processes
from synthpairs.scoring.params import Scores, Ssim
from synthpairs.scoring.reference import DECIMALS, check_scores

log = logging.getLogger(__name__)
TEXTS = 65_536  # embeddings kept: 128 MiB at 512 numbers each
SSIM_BATCH = 16  # pictures on a GPU together: 1 GiB of fields for 1024 x 1024 in colour


def score_images(manifest: pd.DataFrame, params: Scores, images: Path, out: Path) -> tuple[dict, dict]:
    """Write `out` (scores.parquet, failed.parquet, scorer.json); returns metrics, tracked and not.

    Scored shards stay in a work store, so a killed run resumes and a change in curation scores only changed shards. Before
    anything is written, some scores are compared with those of scikit-image and open_clip (synthpairs.scoring.reference).
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
    on_gpu = scorer.device.type == "cuda"
    texts = Texts(scorer)
    scored: list[pa.Table] = []
    failed: list[dict] = []
    reused = 0
    with (
        openers(scorer.preprocess, spec, on_gpu, worker_processes(len(manifest), on_gpu)) as begin,
        WorkStore("scores", digest(inputs, *low_bits)).locked() as store,
        progress("scores", len(manifest), "pictures") as advance,
    ):
        for shard, rows in manifest.groupby("shard"):
            piece = f"{digest(shard, file_sha256(images / str(shard)))}.json"
            stored = store.get(piece)
            if stored is None:
                result = score_shard(images / str(shard), rows.to_dict("records"), scorer, spec, texts, begin)
                store.put(piece, json.dumps(result).encode())
            else:
                result = json.loads(stored)
                reused += len(rows)
            scored.append(pa.Table.from_pylist(result["scored"], schema=SCORES))  # 0.3 KB a row; as objects 0.5
            failed += result["failed"]
            advance(len(rows))
    if len(failed) > params.max_failed_share * len(manifest):
        raise ValueError(
            f"{len(failed)} of {len(manifest)} pictures have no score, more than scores.max_failed_share of "
            f"params.yaml allows; the first, {failed[0]['key']}: {failed[0]['error']}"
        )
    table = pa.concat_tables(scored).to_pandas().sort_values("key", ignore_index=True)
    reference = check_scores(table, manifest, images, params, store.path)
    write_table(out / "scores.parquet", table, SCORES)
    write_table(out / "failed.parquet", sorted(failed, key=lambda row: row["key"]), FAILED)
    write_json(out / "scorer.json", {"inputs": inputs, "batch": params.batch, "device": scorer.device.type})
    metrics = {
        "n": len(table),
        "failed": len(failed),
        "texts_truncated": int(table.loc[table["clip_tokens"] > scorer.token_limit, "uid"].nunique()),
        "clip_cosine": _summary(table["clip_cosine"]),
        "ssim": _summary(table["ssim"]),
        "reference": reference,
    }
    return metrics, {"reused": reused}


class Texts:
    """Embeddings of captions by uid, so that one serves all candidates of its caption; the latest TEXTS of them are kept.

    One that was let go is made again, and comes out the same (see synthpairs.core.determinism).
    """

    def __init__(self, scorer: ClipScorer) -> None:
        self._scorer = scorer
        self._kept: dict[str, Tensor] = {}

    def of(self, rows: Sequence[dict]) -> list[Tensor]:
        """The embedding of each row's caption."""
        known = {row["uid"]: self._kept[row["uid"]] for row in rows if row["uid"] in self._kept}
        new = {row["uid"]: row["text"] for row in rows if row["uid"] not in known}
        if new:
            made = self._scorer.embed_texts(list(new.values()))
            known |= {
                uid: embedding.clone() for uid, embedding in zip(new, made, strict=True)
            }  # no view holds them all
            self._kept |= {uid: known[uid] for uid in new}
        for uid in list(islice(self._kept, max(0, len(self._kept) - TEXTS))):
            del self._kept[uid]
        return [known[row["uid"]] for row in rows]


def score_shard(
    path: Path, rows: Sequence[dict], scorer: ClipScorer, spec: Ssim, texts: Texts, begin: Callable[..., list[Future]]
) -> dict:
    """Scores of one shard's candidates: {"scored": SCORES rows, "failed": FAILED rows}, in the given order.

    `begin` starts to make pictures ready, as openers has it. A picture that is missing or cannot be read fails alone.
    """
    samples = dict(read_shard(path))
    captions = dict(zip((row["key"] for row in rows), texts.of(rows), strict=True))
    batches = [rows[start : start + scorer.batch] for start in range(0, len(rows), scorer.batch)]
    waiting: list[list[Future]] = []
    scored, failed = [], []
    for place, batch in enumerate(batches):
        for ahead in batches[len(waiting) : place + 2]:  # the next is unpacked while this one is embedded
            waiting.append(begin([_payload(samples.get(row["key"], {})) for row in ahead]))
        opened = [future.result() for future in waiting[place]]
        waiting[place] = []
        readable = [(row, result) for row, result in zip(batch, opened, strict=True) if not isinstance(result, str)]
        cosines: list[float] = []
        if readable:
            pictures = scorer.embed_pictures([torch.from_numpy(result.view) for _, result in readable])
            found = zip(pictures, (captions[row["key"]] for row, _ in readable), strict=True)
            cosines = [float(one @ other) for one, other in found]
        ssims = _ssims([result for _, result in readable], spec, scorer.device)
        errors = [(row, result) for row, result in zip(batch, opened, strict=True) if isinstance(result, str)]
        for (row, _), cosine, ssim in zip(readable, cosines, ssims, strict=True):
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


def _payload(members: dict[str, bytes]) -> bytes | None:
    return members.get("png") or members.get("webp")


def _ssims(opened: Sequence[Opened], spec: Ssim, device: torch.device) -> list[float]:
    """SSIM of each picture, on the device where that was left to it; pictures of one size go together."""
    values = {place: one.ssim for place, one in enumerate(opened) if one.ssim is not None}
    left: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
    for place, one in enumerate(opened):
        if one.pixels is not None:
            left.setdefault(one.pixels.shape, {})[place] = one.pixels
    for alike in left.values():
        for start in range(0, len(alike), SSIM_BATCH):
            some = dict(islice(alike.items(), start, start + SSIM_BATCH))
            pixels = torch.from_numpy(np.stack(list(some.values()))).to(device)
            values |= dict(zip(some, self_similarities(pixels, spec).tolist(), strict=True))
    return [values[place] for place in range(len(opened))]


def _summary(values: pd.Series) -> dict[str, float | None]:
    if values.empty:  # `max_failed_share` may let all fail
        return dict.fromkeys(("mean", "q25", "median", "q75"))
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    named = {"mean": values.mean(), "q25": low, "median": middle, "q75": high}
    return {name: round(float(value), 4) for name, value in named.items()}
