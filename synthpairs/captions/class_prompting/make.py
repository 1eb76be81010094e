"""From class names to data/invented/captions.parquet: ask, parse, drop duplicates, match, balance."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from synthpairs.captions.class_prompting.bank import Concept, concept_bank
from synthpairs.captions.class_prompting.matching import Matcher, balanced
from synthpairs.captions.class_prompting.params import Invent
from synthpairs.captions.class_prompting.prompts import Request, requests
from synthpairs.captions.class_prompting.replies import Parsed, parse
from synthpairs.core.schema import INVENTED, caption_uid, digest
from synthpairs.core.storage import WorkStore, file_sha256, write_table
from synthpairs.models.hub import hub_record
from synthpairs.models.language.model import language_model_folder, load
from synthpairs.models.language.sampling import generate
from synthpairs.models.language.server import Reply, Server, request_body, server_replies
from synthpairs.runtime.cached_map import in_pieces

log = logging.getLogger(__name__)
SOURCE = "invented"


def make_captions(params: Invent, world: Sequence[str], out: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """Write `out`/captions.parquet; returns metrics, tracked and not. `world` are the desk world's concepts.

    There may be none to keep. ValueError when more than `params.max_failed_share` failed.
    """
    concepts = concept_bank(params, world)
    asked = requests(concepts, params)
    log.info("%d captions about %d classes", len(asked), len(concepts))
    folder = language_model_folder(params.local.llm, "invent.local.llm") if params.engine == "local" else None
    model = f"{params.local.llm}@{file_sha256(folder)[:12]}" if folder else params.server.model
    volatile: dict[str, int] = {}
    fingerprint = digest(params.engine, model, asdict(params.local), asdict(params.sampling))
    with WorkStore("invent", fingerprint).locked() as store:
        if folder:
            replies = _local_replies(asked, folder, params, model, store)
        else:
            most, bodies = int(params.max_failed_share * len(asked)), (_body(request, params) for request in asked)
            server = Server.from_environment()
            replies, volatile = server_replies(bodies, len(asked), params.server, server, most, "invent")
    rows = judge(asked, replies, concepts, params)
    metrics = tally(rows, len(concepts))
    if not metrics["kept"]:
        log.warning(
            "none of %d captions was kept (%s): see params.yaml: invent.prompt", len(asked), metrics["rejected"]
        )
    if folder and (hub := hub_record(params.local.llm, folder)):
        metrics["hub"] = hub
    write_table(out / "captions.parquet", sorted(rows, key=lambda row: (row["concept"], row["number"])), INVENTED)
    store.discard()
    return metrics, volatile


def _local_replies(asked: Sequence[Request], folder: Path, params: Invent, model: str, store: WorkStore) -> list[Reply]:
    """One reply per request, in order, from the model in `folder`, to be called `model`. Finished pieces come from the store."""
    lm, sampling, local = load(folder), params.sampling, params.local
    chats = {messages: lm.chat(messages) for messages in {request.messages for request in asked}}

    def write(piece: Sequence[tuple[str, int]]) -> list[str]:
        prompts, seeds = zip(*piece, strict=True)
        return generate(lm, prompts, seeds, sampling, local.batch, local.repetition_penalty)

    texts = in_pieces(store, "invent", [(chats[request.messages], request.seed) for request in asked], write)
    # A text has at most as many tokens as were drawn: rarely it can be said in fewer, and then a cut goes unnoticed.
    return [Reply(text, model, cut=len(lm.ids(text)) >= sampling.max_new_tokens) for text in texts]


def _body(request: Request, params: Invent) -> dict[str, Any]:
    values = params.sampling
    numbers = values.temperature, values.top_p, values.max_new_tokens, request.seed >> 32
    return request_body(params.server, request.messages, *numbers)


def judge(
    asked: Sequence[Request], replies: Sequence[Reply], concepts: Sequence[Concept], params: Invent
) -> list[dict[str, Any]]:
    """What becomes of each reply, as rows of INVENTED in the order of the requests."""
    matcher = Matcher(concepts)
    rows = []
    for request, reply in zip(asked, replies, strict=True):
        mentions = partial(matcher.mentions, name=request.concept.name)
        parsed = parse(reply, params.prompt, params.replies, mentions) if reply.error is None else None
        rows.append(_row(request, reply, parsed))
    alive = [row for row in rows if row["status"] == "kept"]
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(alive, key=lambda row: digest("first", row["concept"], row["number"])):
        other = first.setdefault(row["uid"], row)
        if other is not row:
            _reject(row, "duplicate", f"of {other['concept']} {other['number']}")
    for row in first.values():
        row["matched"] = matcher.matched(row["text"], row["concept"])
    if params.balance:
        stay = balanced({uid: row["matched"] for uid, row in first.items()}, params.balance, params.seed)
        for uid in first.keys() - stay:
            _reject(first[uid], "balance", "")
    return rows


def _row(request: Request, reply: Reply, parsed: Parsed | None) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(INVENTED.names)
    row |= {"source": SOURCE, "concept": request.concept.name, "bank": request.concept.bank}
    row |= {"number": request.number, "seed": request.seed, "model": reply.model}
    if parsed is None:
        return row | {"status": "failed", "detail": reply.error}
    uid = caption_uid(parsed.text, SOURCE) if parsed.text else None
    row |= {"uid": uid, "text": parsed.text, "status": "rejected" if parsed.reason else "kept"}
    return row | {"reason": parsed.reason, "detail": parsed.detail}


def _reject(row: dict[str, Any], reason: str, detail: str) -> None:
    row |= {"status": "rejected", "reason": reason, "detail": detail}


def tally(rows: Sequence[dict[str, Any]], classes: int) -> dict[str, Any]:
    """Counts of asked, kept, rejected by reason, failed; and about the kept: words, concepts named, classes reached."""
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
        "mean_concepts": _mean([len(row["matched"]) for row in kept], len(kept)),  # named by a caption
    }


def _mean(values: Sequence[int], count: int) -> float | None:
    return round(sum(values) / count, 4) if count else None
