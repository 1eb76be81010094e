"""Caption filtering: all filters over all captions, cheap ones first, chunk by chunk."""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from synthpairs.captions.chunks import Chunks, chunks
from synthpairs.captions.clip_filter import ClipFilter
from synthpairs.captions.duplicates import Duplicates
from synthpairs.captions.models import Models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import Caption, remaining
from synthpairs.captions.text_filters import filter_texts
from synthpairs.core.storage import WorkStore

log = logging.getLogger(__name__)
Filter = Callable[[Sequence[Caption]], object]  # rejects some of the captions


@dataclass(frozen=True, slots=True)
class Filtered:
    """All captions after filtering, ordered by uid, to be iterated once; `kept` of them were not rejected."""

    captions: Iterator[Caption]
    kept: int


def filter_captions(captions: Iterable[Caption], params: CaptionParams, models: Models, store: WorkStore) -> Filtered:
    """Apply all filters in the paper's order: rules, perplexity, duplicates, judge, BLIP, CLIP.

    Of equal captions the first is kept, so order the sources by trust. One chunk is in memory at a time, the others in `store`.
    """
    folder = store.path / "curation"
    shutil.rmtree(folder, ignore_errors=True)
    perplexity, judge = _language_model_filters(params, models, store)
    blip: list[Filter] = [partial(models.blip.filter, store=store)] if models.blip else []
    clip, duplicates = ClipFilter(params, store), Duplicates(folder / "duplicates", params.limits)
    first, second = Chunks(folder / "first"), Chunks(folder / "second")
    for chunk, fingerprints in filter_texts(chunks(captions), params.limits, models.kenlm):
        passed = remaining(chunk)
        for apply in perplexity:
            apply(passed)
        pairs = [pair for pair in zip(passed, fingerprints, strict=True) if pair[0].reason is None]
        duplicates.add([caption for caption, _ in pairs], [fingerprint for _, fingerprint in pairs])
        first.write(chunk)
        log.info("rules and perplexity: %d of %d are left", len(pairs), len(chunk))
    duplicates.search()
    kept = 0
    for chunk in first.read():
        counts = [len(remaining(chunk))]
        for apply in (duplicates.reject, *judge, *blip):
            apply(remaining(chunk))
            counts.append(len(remaining(chunk)))
        log.info("duplicates, judge, BLIP: %s of %d are left", ", ".join(map(str, counts[1:])), counts[0])
        clip.measure(remaining(chunk))
        kept += sum("clip_original" not in caption.measures for caption in remaining(chunk))
        second.write(sorted(chunk, key=lambda caption: caption.uid))
    return Filtered(clip.filter(second.merged()), kept + clip.num_kept())


def _language_model_filters(
    params: CaptionParams, models: Models, store: WorkStore
) -> tuple[list[Filter], list[Filter]]:
    """The perplexity filter (except the 5-gram model's, which is in `filter_texts`) and the judge, none or one of each."""
    perplexity: list[Filter] = []
    judge: list[Filter] = []
    if models.lm or models.server:
        from synthpairs.captions import language_model_filters as filters  # imports torch

        limits, batch = params.limits, params.batch_size
        if models.server:
            judge = [partial(filters.filter_by_server_judge, limits=limits, judge=params.judge, server=models.server)]
        elif models.lm and params.judge.engine == "llm":
            judge = [partial(filters.filter_by_judge, limits=limits, lm=models.lm, batch=batch, store=store)]
        if models.lm and params.perplexity.engine == "llm":
            perplexity = [partial(filters.filter_by_perplexity, limits=limits, lm=models.lm, batch=batch, store=store)]
    return perplexity, judge
