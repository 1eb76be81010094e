"""All filters over all captions, cheap ones first, chunk by chunk, and the count of what became of each."""

import logging
import shutil
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from synthpairs.captions.alignment import Alignment
from synthpairs.captions.chunks import Chunks, chunks
from synthpairs.captions.duplicates import Duplicates
from synthpairs.captions.models import Models
from synthpairs.captions.params import CaptionParams
from synthpairs.captions.record import MEASURES, Caption
from synthpairs.captions.screening import screened
from synthpairs.schema import BLIP_ITM
from synthpairs.storage import WorkStore

log = logging.getLogger(__name__)
Drop = Callable[[Sequence[Caption]], object]


class Curated:
    """Captions after all filters: `kept` is how many stay, and iterating, once, gives all of them, ordered by uid."""

    def __init__(self, ranked: Iterator[Caption], kept: int) -> None:
        self._ranked, self.kept = ranked, kept

    def __iter__(self) -> Iterator[Caption]:
        return self._ranked


def curate(captions: Iterable[Caption], params: CaptionParams, models: Models, store: WorkStore) -> Curated:
    """Reject what any filter rejects; of equal ones the first stays, so order the sources by trust.

    The order is the paper's: rules, perplexity, duplicates, the language model's verdict, fit with the original. One chunk
    is held at a time; the others lie in the store.
    """
    limits, folder = params.limits, store.path / "curation"
    shutil.rmtree(folder, ignore_errors=True)
    surprising, unclear = _perplexity(params, models, store), _judge(params, models, store)
    unmatched = models.blip.drop_unmatched if models.blip else _pass
    alignment, duplicates = Alignment(params), Duplicates(folder / "duplicates", limits)
    first, second = Chunks(folder / "first"), Chunks(folder / "second")
    for chunk, marks in screened(chunks(captions), limits, models.kenlm):
        alive = _alive(chunk)
        surprising(alive)
        pairs = [(caption, mark) for caption, mark in zip(alive, marks, strict=True) if caption.reason is None]
        duplicates.add([caption for caption, _ in pairs], [mark for _, mark in pairs])
        first.write(chunk)
        log.info("rules and perplexity: %d of %d are left", len(pairs), len(chunk))
    duplicates.find()
    kept = 0
    for chunk in first.read():
        left = [len(_alive(chunk))]
        for step in (duplicates.reject, unclear, unmatched, alignment.measure):
            step(_alive(chunk))
            left.append(len(_alive(chunk)))
        log.info("duplicates, judge, BLIP: %s of %d are left", ", ".join(map(str, left[1:-1])), left[0])
        kept += sum("clip_original" not in caption.measures for caption in _alive(chunk))
        second.write(sorted(chunk, key=lambda caption: caption.uid))
    return Curated(alignment.dropped(second.merged()), kept + alignment.kept())


def _alive(captions: Iterable[Caption]) -> list[Caption]:
    return [caption for caption in captions if caption.reason is None]


def _perplexity(params: CaptionParams, models: Models, store: WorkStore) -> Drop:
    """The language model's part; that of the 5-gram model is in `screened`."""
    if params.perplexity.engine != "llm":
        return _pass
    from synthpairs.captions.judging import drop_surprising

    assert models.lm
    return partial(drop_surprising, limits=params.limits, lm=models.lm, batch=params.batch, store=store)


def _judge(params: CaptionParams, models: Models, store: WorkStore) -> Drop:
    if params.judge.engine == "none":
        return _pass
    from synthpairs.captions.judging import drop_refused, drop_unclear

    if models.server:
        return partial(drop_refused, limits=params.limits, judge=params.judge, server=models.server)
    assert models.lm
    return partial(drop_unclear, limits=params.limits, lm=models.lm, batch=params.batch, store=store)


def _pass(captions: Sequence[Caption]) -> None:
    """Nobody is asked."""


class Tally:
    """Counts per source: read, kept, rejected by filter, kept without a picture to look at; and what noise came to."""

    def __init__(self, blip: bool) -> None:
        self._blip = blip
        self._read: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._concepts: defaultdict[str, set[str]] = defaultdict(set)
        self._rejected: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._values: defaultdict[tuple[str, str], array[float]] = defaultdict(lambda: array("d"))
        self._noise: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(self, caption: Caption) -> None:
        """One more caption."""
        source, kept = caption.source, caption.reason is None
        self._read[source] += 1
        if kept:
            self._kept[source] += 1
            self._skipped[source] += caption.original is None
            self._concepts[source].add(caption.concept)
            for name, value in caption.measures.items():
                self._values[source, name].append(value)
        elif caption.reason:
            self._rejected[source][caption.reason] += 1
        if caption.noise:
            self._noise[caption.noise][0] += 1
            self._noise[caption.noise][1] += kept

    def metrics(self) -> dict[str, Any]:
        """The counts; ValueError when a source's do not add up."""
        metrics: dict[str, Any] = {"kept_total": self._kept.total(), "source": {}}
        for source, read in sorted(self._read.items()):
            kept, rejected = self._kept[source], self._rejected[source]
            if kept + rejected.total() != read:
                raise ValueError(f"captions: {source}: {read} read, but {kept} kept and {rejected.total()} rejected")
            measures = (*MEASURES, *BLIP_ITM.names) if self._blip else MEASURES
            metrics["source"][source] = {
                "read": read,
                "kept": kept,
                "kept_concepts": len(self._concepts[source]),
                "alignment_skipped": self._skipped[source],
                **({"blip_skipped": self._skipped[source]} if self._blip else {}),
                "rejected": dict(sorted(rejected.items())),
                "median": {name: _median(self._values[source, name]) for name in measures},
            }
        metrics["noise"] = {kind: {"read": read, "kept": kept} for kind, (read, kept) in sorted(self._noise.items())}
        return metrics


def _median(values: "array[float]") -> float | None:
    return round(float(np.median(np.frombuffer(values))), 4) if values else None
