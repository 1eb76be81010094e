"""All filters over all captions, cheap ones first, and the count of what became of each."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from synthpairs.captions.alignment import drop_misaligned
from synthpairs.captions.duplicates import drop_exact, drop_near
from synthpairs.captions.filters import TEXT_FILTERS, TextFilter
from synthpairs.captions.judging import drop_surprising, drop_unclear
from synthpairs.captions.params import CaptionParams, Limits
from synthpairs.captions.record import MEASURES, Caption
from synthpairs.language.model import LanguageModel
from synthpairs.storage import WorkStore

log = logging.getLogger(__name__)


def curate(captions: Sequence[Caption], params: CaptionParams, lm: LanguageModel, store: WorkStore) -> None:
    """Reject what any filter rejects; of equal ones the first stays, so order the sources by trust.

    The order is the paper's: rules, perplexity, duplicates, the language model's verdict, fit with the original.
    """
    limits = params.limits
    steps: dict[str, Callable[[Sequence[Caption]], None]] = {
        **{name: partial(_drop, name, check, limits) for name, check in TEXT_FILTERS.items()},
        "perplexity": lambda alive: drop_surprising(alive, limits, lm, params.batch, store),
        "exact_duplicate": drop_exact,
        "near_duplicate": lambda alive: drop_near(alive, limits),
        "judge": lambda alive: drop_unclear(alive, limits, lm, params.batch, store),
        "alignment": lambda alive: drop_misaligned(alive, params),
    }
    for name, step in steps.items():
        alive = [caption for caption in captions if caption.reason is None]
        step(alive)
        log.info("%s: rejected %d of %d", name, sum(caption.reason is not None for caption in alive), len(alive))


def _drop(name: str, check: TextFilter, limits: Limits, captions: Sequence[Caption]) -> None:
    for caption in captions:
        if detail := check(caption, limits):
            caption.reject(name, detail)


def tally(captions: Sequence[Caption]) -> dict[str, Any]:
    """Counts per source: read, kept, rejected by filter, kept without a picture to align with; and what noise came to.

    ValueError when a source's counts do not add up.
    """
    metrics: dict[str, Any] = {"kept_total": sum(caption.reason is None for caption in captions), "source": {}}
    for source in sorted({caption.source for caption in captions}):
        ours = [caption for caption in captions if caption.source == source]
        kept = [caption for caption in ours if caption.reason is None]
        rejected = Counter(caption.reason for caption in ours if caption.reason)
        if len(kept) + rejected.total() != len(ours):
            raise ValueError(
                f"captions: {source}: {len(ours)} read, but {len(kept)} kept and {rejected.total()} rejected"
            )
        metrics["source"][source] = {
            "read": len(ours),
            "kept": len(kept),
            "kept_concepts": len({caption.concept for caption in kept}),
            "alignment_skipped": sum(caption.original is None for caption in kept),
            "rejected": dict(sorted(rejected.items())),
            "median": {name: _median(kept, name) for name in MEASURES},
        }
    spoilt = sorted({caption.noise for caption in captions if caption.noise})
    metrics["noise"] = {
        kind: {
            "read": sum(caption.noise == kind for caption in captions),
            "kept": sum(caption.noise == kind and caption.reason is None for caption in captions),
        }
        for kind in spoilt
    }
    return metrics


def _median(captions: Sequence[Caption], measure: str) -> float | None:
    values = [caption.measures[measure] for caption in captions if measure in caption.measures]
    return round(float(np.median(values)), 4) if values else None
