"""All filters over all captions, cheap ones first, chunk by chunk."""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from synthpairs.captions.alignment import Alignment
from synthpairs.captions.chunks import Chunks, chunks
from synthpairs.captions.duplicates import Duplicates
from synthpairs.captions.models import Models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption, alive
from synthpairs.captions.screening import screened
from synthpairs.core.storage import WorkStore

log = logging.getLogger(__name__)
Drop = Callable[[Sequence[Caption]], object]


@dataclass(frozen=True, slots=True)
class Curated:
    """Captions after all filters, to be iterated once, ordered by uid; `kept` of them were not rejected."""

    captions: Iterator[Caption]
    kept: int


def curate(captions: Iterable[Caption], params: CaptionParams, models: Models, store: WorkStore) -> Curated:
    """Reject what any filter rejects; of equal ones the first stays, so order the sources by trust.

    The order is the paper's: rules, perplexity, duplicates, the language model's verdict, fit with the original. One chunk
    is held at a time; the others lie in the store.
    """
    folder = store.path / "curation"
    shutil.rmtree(folder, ignore_errors=True)
    perplexity, judge = _language_model_filters(params, models, store)
    blip = [models.blip.drop_unmatched] if models.blip else []
    alignment, duplicates = Alignment(params), Duplicates(folder / "duplicates", params.limits)
    first, second = Chunks(folder / "first"), Chunks(folder / "second")
    for chunk, fingerprints in screened(chunks(captions), params.limits, models.kenlm):
        left = alive(chunk)
        for drop in perplexity:
            drop(left)
        pairs = [pair for pair in zip(left, fingerprints, strict=True) if pair[0].reason is None]
        duplicates.add([caption for caption, _ in pairs], [fingerprint for _, fingerprint in pairs])
        first.write(chunk)
        log.info("rules and perplexity: %d of %d are left", len(pairs), len(chunk))
    duplicates.find()
    kept = 0
    for chunk in first.read():
        counts = [len(alive(chunk))]
        for drop in (duplicates.reject, *judge, *blip):
            drop(alive(chunk))
            counts.append(len(alive(chunk)))
        log.info("duplicates, judge, BLIP: %s of %d are left", ", ".join(map(str, counts[1:])), counts[0])
        alignment.measure(alive(chunk))
        kept += sum("clip_original" not in caption.measures for caption in alive(chunk))
        second.write(sorted(chunk, key=lambda caption: caption.uid))
    return Curated(alignment.filtered(second.merged()), kept + alignment.kept())


def _language_model_filters(params: CaptionParams, models: Models, store: WorkStore) -> tuple[list[Drop], list[Drop]]:
    """Those of perplexity (that of the 5-gram model is in `screened`) and of judging, none or one of each."""
    perplexity: list[Drop] = []
    judge: list[Drop] = []
    if models.lm or models.server:
        from synthpairs.captions.judging import drop_refused, drop_surprising, drop_unclear  # with torch

        limits, batch = params.limits, params.batch
        if models.server:
            judge = [partial(drop_refused, limits=limits, judge=params.judge, server=models.server)]
        elif models.lm and params.judge.engine == "llm":
            judge = [partial(drop_unclear, limits=limits, lm=models.lm, batch=batch, store=store)]
        if models.lm and params.perplexity.engine == "llm":
            perplexity = [partial(drop_surprising, limits=limits, lm=models.lm, batch=batch, store=store)]
    return perplexity, judge
