"""Captions from class names (data/class_captions/captions.parquet): prompt, parse, drop duplicates, match, balance."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from synthpairs.captions.class_prompting.bank import Concept, concept_bank
from synthpairs.captions.class_prompting.matching import Matcher, balanced
from synthpairs.captions.class_prompting.params import ClassCaptions
from synthpairs.captions.class_prompting.prompts import Request, make_requests
from synthpairs.captions.class_prompting.replies import parse
from synthpairs.core.schema import INVENTED, caption_uid, digest
from synthpairs.core.storage import WorkStore, file_sha256, write_table
from synthpairs.models.hub import hub_record
from synthpairs.models.language.model import language_model_folder, load
from synthpairs.models.language.sampling import generate
from synthpairs.models.language.server import Reply, Server, request_body, server_replies
from synthpairs.runtime.cached_map import cached_map

log = logging.getLogger(__name__)
SOURCE = "invented"


def make_captions(params: ClassCaptions, world: Sequence[str], out: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Write `out`/captions.parquet, maybe without a kept caption; returns metrics, and metrics that are not reproducible.

    `world` are the concepts of the emoji world. ValueError when more than `params.max_failed_share` of the requests fail.
    """
    concepts = concept_bank(params, world)
    requests = make_requests(concepts, params)
    log.info("%d captions about %d classes", len(requests), len(concepts))
    folder = language_model_folder(params.local.llm, "class_captions.local.llm") if params.engine == "local" else None
    model = f"{params.local.llm}@{file_sha256(folder)[:12]}" if folder else params.server.model
    volatile: dict[str, int] = {}
    fingerprint = digest(params.engine, model, asdict(params.local), asdict(params.sampling))
    with WorkStore("class_captions", fingerprint).locked() as store:
        if folder:
            replies = _local_replies(requests, folder, params, model, store)
        else:
            max_failed = int(params.max_failed_share * len(requests))
            bodies = (_body(request, params) for request in requests)
            server = Server.from_environment()
            replies, volatile = server_replies(
                bodies, len(requests), params.server, server, max_failed, "class_captions"
            )
    rows = outcomes(requests, replies, concepts, params)
    metrics = count_outcomes(rows, len(concepts))
    if not metrics["kept"]:
        log.warning(
            "none of %d captions was kept (%s): see params.yaml: class_captions.prompt",
            len(requests),
            metrics["rejected"],
        )
    if folder and (hub := hub_record(params.local.llm, folder)):
        metrics["hub"] = hub
    write_table(out / "captions.parquet", sorted(rows, key=lambda row: (row["concept"], row["number"])), INVENTED)
    store.discard()
    return metrics, volatile


def _local_replies(
    requests: Sequence[Request], folder: Path, params: ClassCaptions, model: str, store: WorkStore
) -> list[Reply]:
    """Replies in the order of the requests, by the model in `folder`, which the table calls `model`."""
    lm, sampling, local = load(folder), params.sampling, params.local
    chats = {messages: lm.chat(messages) for messages in {request.messages for request in requests}}

    def write(items: Sequence[tuple[str, int]]) -> list[str]:
        prompts, seeds = zip(*items, strict=True)
        return generate(lm, prompts, seeds, sampling, local.batch_size, local.repetition_penalty)

    texts = cached_map(
        store, "class_captions", [(chats[request.messages], request.seed) for request in requests], write
    )
    # A text may have fewer tokens than were generated, so rarely a truncated one is not detected.
    return [Reply(text, model, cut=len(lm.ids(text)) >= sampling.max_new_tokens) for text in texts]


def _body(request: Request, params: ClassCaptions) -> dict[str, Any]:
    sampling = params.sampling
    return request_body(
        params.server, request.messages, sampling.temperature, sampling.top_p, sampling.max_new_tokens,
        seed=request.seed >> 32,
    )  # fmt: skip


def outcomes(
    requests: Sequence[Request], replies: Sequence[Reply], concepts: Sequence[Concept], params: ClassCaptions
) -> list[dict[str, Any]]:
    """Rows of INVENTED with the outcome of each reply, in the order of the requests."""
    matcher = Matcher(concepts)
    rows = []
    for request, reply in zip(requests, replies, strict=True):
        row: dict[str, Any] = dict.fromkeys(INVENTED.names)
        row |= {"source": SOURCE, "concept": request.concept.name, "bank": request.concept.bank}
        row |= {"number": request.number, "seed": request.seed, "model": reply.model}
        if reply.error is not None:
            row |= {"status": "failed", "detail": reply.error}
        else:
            mentions = partial(matcher.mentions, name=request.concept.name)
            parsed = parse(reply, params.prompt, params.replies, mentions)
            row |= {"uid": caption_uid(parsed.text, SOURCE) if parsed.text else None, "text": parsed.text}
            row |= {"status": "rejected" if parsed.reason else "kept", "reason": parsed.reason, "detail": parsed.detail}
        rows.append(row)
    kept = [row for row in rows if row["status"] == "kept"]
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(kept, key=lambda row: digest("first", row["concept"], row["number"])):
        other = first.setdefault(row["uid"], row)
        if other is not row:
            _reject(row, "duplicate", f"of {other['concept']} {other['number']}")
    for row in first.values():
        row["matched"] = matcher.matched(row["text"], row["concept"])
    if params.balance:
        uids = balanced({uid: row["matched"] for uid, row in first.items()}, params.balance, params.seed)
        for uid in first.keys() - uids:
            _reject(first[uid], "balance", "")
    return rows


def _reject(row: dict[str, Any], reason: str, detail: str) -> None:
    row |= {"status": "rejected", "reason": reason, "detail": detail}


def count_outcomes(rows: Sequence[dict[str, Any]], classes: int) -> dict[str, Any]:
    """Counts of requests, kept, rejected by reason and failed; of the kept, mean words, mean concepts, and classes reached."""
    kept = [row for row in rows if row["status"] == "kept"]
    rejected = Counter(row["reason"] for row in rows if row["status"] == "rejected")
    failed = sum(row["status"] == "failed" for row in rows)
    assert len(kept) + rejected.total() + failed == len(rows)
    return {
        "asked": len(rows),
        "kept": len(kept),
        "rejected": dict(sorted(rejected.items())),
        "failed": failed,
        "classes": classes,
        "classes_reached": _mean([len({row["concept"] for row in kept})], classes),  # share
        "mean_words": _mean([len(row["text"].split()) for row in kept], len(kept)),
        "mean_concepts": _mean([len(row["matched"]) for row in kept], len(kept)),
    }


def _mean(values: Sequence[int], count: int) -> float | None:
    return round(sum(values) / count, 4) if count else None
