"""Stage `scores`: CLIP cosine and SSIM of all candidates, one shard in memory at a time."""

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

from synthpairs.core.images import image_member
from synthpairs.core.schema import FAILED, SCORES, digest
from synthpairs.core.storage import WorkStore, file_sha256, read_shard, write_json, write_table
from synthpairs.models.clip import ClipScorer
from synthpairs.runtime.progress import progress
from synthpairs.scoring.check import DECIMALS, check_scores
from synthpairs.scoring.gpu_ssim import self_similarities
from synthpairs.scoring.params import Scores, Ssim
from synthpairs.scoring.preprocessing import Preprocessed, num_processes, preprocessors

log = logging.getLogger(__name__)
CACHED_TEXTS = 65_536  # 128 MiB at 512 numbers each
SSIM_BATCH = 16  # pictures on a GPU: 1 GiB of fields for 1024 x 1024 in colour


def load_scorer(params: Scores) -> ClipScorer:
    """The CLIP model of section `scores`."""
    return ClipScorer(
        "scores", params.clip, params.pretrained,
        prefix=params.prefix, precision=params.precision, batch=params.batch_size,
    )  # fmt: skip


def score_images(manifest: pd.DataFrame, params: Scores, images: Path, out: Path) -> tuple[dict, dict]:
    """Write `out` (scores.parquet, failed.parquet, scorer.json); returns metrics, tracked and not.

    Scores of finished shards are kept in a work store, so a killed run resumes, and after a change of captions only changed
    shards are scored. Before anything is written, synthpairs.scoring.check checks some of them.
    """
    if manifest.empty:
        raise ValueError("data/images/manifest.parquet holds no picture: run `dvc repro images` and see its metrics")
    scorer = load_scorer(params)
    spec = params.ssim
    inputs = {"clip": scorer.inputs, "ssim": {name: getattr(spec, name) for name in spec.__slots__}}
    low_bits = params.batch_size, scorer.device.type, torch.get_num_threads()  # what they depend on
    on_gpu = scorer.device.type == "cuda"
    texts = CaptionEmbeddings(scorer)
    scored: list[pa.Table] = []
    failed: list[dict] = []
    reused = 0
    with (
        preprocessors(scorer.preprocess, spec, on_gpu, num_processes(len(manifest), on_gpu)) as submit,
        WorkStore("scores", digest(inputs, *low_bits)).locked() as store,
        progress("scores", len(manifest), "pictures") as advance,
    ):
        for shard, rows in manifest.groupby("shard"):
            piece = f"{digest(shard, file_sha256(images / str(shard)))}.json"
            result = store.get_json(
                piece, lambda value, size: len(value["scored"]) + len(value["failed"]) == size, len(rows)
            )
            if result is None:
                result = score_shard(images / str(shard), rows.to_dict("records"), scorer, spec, texts, submit)
                result = store.put_json(piece, result)
            else:
                reused += len(rows)
            scored.append(pa.Table.from_pylist(result["scored"], schema=SCORES))  # 0.3 KB a row; as dicts 0.5
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
    write_json(out / "scorer.json", {"inputs": inputs, "batch": params.batch_size, "device": scorer.device.type})
    metrics = {
        "n": len(table),
        "failed": len(failed),
        "texts_truncated": int(table.loc[table["clip_tokens"] > scorer.token_limit, "uid"].nunique()),
        "clip_cosine": _summary(table["clip_cosine"]),
        "ssim": _summary(table["ssim"]),
        "reference": reference,
    }
    return metrics, {"reused": reused}


class CaptionEmbeddings:
    """CLIP embeddings of captions, of which the latest CACHED_TEXTS are cached: one caption has several candidates."""

    def __init__(self, scorer: ClipScorer) -> None:
        self._scorer = scorer
        self._cache: dict[str, Tensor] = {}  # by uid

    def of(self, rows: Sequence[dict]) -> list[Tensor]:
        """The embedding of each row's caption."""
        known = {row["uid"]: self._cache[row["uid"]] for row in rows if row["uid"] in self._cache}
        new = {row["uid"]: row["text"] for row in rows if row["uid"] not in known}
        if new:
            # Clones, because views would keep the whole batch in memory.
            embeddings = [embedding.clone() for embedding in self._scorer.embed_texts(list(new.values()))]
            computed = dict(zip(new, embeddings, strict=True))
            known |= computed
            self._cache |= computed
        for uid in list(islice(self._cache, max(0, len(self._cache) - CACHED_TEXTS))):
            del self._cache[uid]
        return [known[row["uid"]] for row in rows]


def score_shard(
    path: Path,
    rows: Sequence[dict],
    scorer: ClipScorer,
    spec: Ssim,
    texts: CaptionEmbeddings,
    submit: Callable[..., list[Future]],
) -> dict:
    """Scores of one shard's candidates: {"scored": rows of SCORES, "failed": rows of FAILED}, in the given order.

    `submit` is from `preprocessors`. A picture that is missing or cannot be decoded is a row of "failed".
    """
    samples = dict(read_shard(path))
    captions = dict(zip((row["key"] for row in rows), texts.of(rows), strict=True))
    batches = [rows[start : start + scorer.batch] for start in range(0, len(rows), scorer.batch)]
    futures: list[list[Future]] = []
    scored, failed = [], []
    for index, batch in enumerate(batches):
        for ahead in batches[len(futures) : index + 2]:  # the next batch is preprocessed while this one is embedded
            files = (samples.get(row["key"], {}) for row in ahead)
            futures.append(submit([image_member(members) for members in files]))
        results = [(row, future.result()) for row, future in zip(batch, futures[index], strict=True)]
        futures[index] = []
        readable = [(row, result) for row, result in results if not isinstance(result, str)]
        errors = [(row, result) for row, result in results if isinstance(result, str)]
        cosines: list[float] = []
        if readable:
            pictures = scorer.embed_pictures([torch.from_numpy(result.view) for _, result in readable])
            cosines = [float(image @ captions[row["key"]]) for image, (row, _) in zip(pictures, readable, strict=True)]
        ssims = _ssims([result for _, result in readable], spec, scorer.device)
        for (row, _), cosine, ssim in zip(readable, cosines, ssims, strict=True):
            if not np.isfinite([cosine, ssim]).all():
                errors.append((row, f"scores are not finite: clip_cosine {cosine}, ssim {ssim}"))
                continue
            scores = {"clip_cosine": round(cosine, DECIMALS), "ssim": round(ssim, DECIMALS)}
            scores["clip_tokens"] = scorer.count_tokens(row["text"])
            scored.append({"key": row["key"], "uid": row["uid"], "concept": row["concept"]} | scores)
        for row, error in errors:
            log.warning("%s: no score for %s: %s", path, row["key"], error)
            failed.append({"key": row["key"], "uid": row["uid"], "error": error})
    return {"scored": scored, "failed": failed}


def _ssims(results: Sequence[Preprocessed], spec: Ssim, device: torch.device) -> list[float]:
    """SSIM of each picture; where it is not yet computed, on the device, in batches of pictures of one size."""
    values = {index: result.ssim for index, result in enumerate(results) if result.ssim is not None}
    by_size: dict[tuple[int, ...], dict[int, np.ndarray]] = {}
    for index, result in enumerate(results):
        if result.pixels is not None:
            by_size.setdefault(result.pixels.shape, {})[index] = result.pixels
    for pictures in by_size.values():
        for start in range(0, len(pictures), SSIM_BATCH):
            batch = dict(islice(pictures.items(), start, start + SSIM_BATCH))
            pixels = torch.from_numpy(np.stack(list(batch.values()))).to(device)
            values |= dict(zip(batch, self_similarities(pixels, spec).tolist(), strict=True))
    return [values[index] for index in range(len(results))]


def _summary(values: pd.Series) -> dict[str, float | None]:
    if values.empty:  # max_failed_share may allow that all fail
        return dict.fromkeys(("mean", "q25", "median", "q75"))
    low, middle, high = values.quantile([0.25, 0.5, 0.75])
    statistics = {"mean": values.mean(), "q25": low, "median": middle, "q75": high}
    return {name: round(float(value), 4) for name, value in statistics.items()}
