"""Text filters: rules on Data-Juicer's measures, and the perplexity of a 5-gram model, in one worker process per core."""

import html
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from synthpairs.captions.duplicates import fingerprint
from synthpairs.captions.measures import Texts
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption, remaining
from synthpairs.models.language.kenlm import Kenlm
from synthpairs.runtime.workers import process_pool, usable_cores

# Tags, closed or not, except the placeholder of names in CC12M; entities, of which some need no semicolon.
_TAG = re.compile(r"<!--|<[/!?]?(?!(?-i:PERSON>))[a-z][^<>]*>?", re.IGNORECASE)
_ENTITY = re.compile(r"&#?\w+;?", re.ASCII)
_CONTROL = re.compile(r"<\|[^<>|\s]{1,40}\|>")  # `<|endoftext|>` ends the text for CLIP; `</s>` is taken for HTML
BATCH = 512  # texts measured at once: a few hundred KB for each of their arrays
_kenlm = cache(Kenlm)  # one per worker


class RuleResult(NamedTuple):
    """Result of one rule for a batch of texts."""

    measure: str  # its column in the tables
    values: list[float]  # of each text
    wrong: dict[int, str]  # detail by index of each text to reject


class TextResult(NamedTuple):
    """Result of all text filters for one text; the measures of filters after a rejection are missing."""

    measures: dict[str, float]
    reason: str | None = None  # name of the filter that rejects it
    detail: str = ""


TextFilter = Callable[[Texts, Limits], RuleResult]


def unusable(text: str, limits: Limits) -> str | None:
    """Why a text is empty, too long, or has control characters, replacement characters, control tokens or HTML; else None."""
    if not text.strip():
        return "empty"
    if len(text) > limits.max_characters:
        return f"{len(text)} characters > {limits.max_characters}"
    if "\ufffd" in text:
        return "bytes that are not UTF-8"
    if not text.isprintable():
        for char in text:
            if unicodedata.category(char) == "Cc" and not char.isspace():
                return f"control character U+{ord(char):04X}"
    if token := _CONTROL.search(unicodedata.normalize("NFKC", text)):
        return f"control token {token.group()}"
    if markup := _markup(text):
        return f"HTML: {markup[:40]}"
    return None


def _markup(text: str) -> str | None:
    """The first tag or else entity of HTML in a text; "a < b" and "R&B" have none."""
    if tag := _TAG.search(text):
        return tag.group()
    for entity in _ENTITY.findall(text):
        if entity.endswith(";") or html.unescape(entity) != entity:
            return entity
    return None


def _within(measure: str, values: np.ndarray, low: float, high: float) -> RuleResult:
    numbers: list[float] = values.tolist()
    wrong = {}
    for index in np.flatnonzero((values < low) | (values > high)).tolist():
        value = numbers[index]
        wrong[index] = f"{value:.4g} < {low}" if value < low else f"{value:.4g} > {high}"
    return RuleResult(measure, numbers, wrong)


# In order of application.
TEXT_FILTERS: dict[str, TextFilter] = {
    "alnum": lambda texts, limits: _within("alnum_ratio", texts.alnum_ratios(), limits.alnum_min, 1),
    "special": lambda texts, limits: _within(
        "special_ratio", texts.special_ratios(), limits.special_min, limits.special_max
    ),
    "char_repetition": lambda texts, limits: _within(
        "char_repetition", texts.char_repetitions(limits.char_ngram), 0, limits.char_repetition_max
    ),
    "word_repetition": lambda texts, limits: _within(
        "word_repetition", texts.word_repetitions(limits.word_ngram), 0, limits.word_repetition_max
    ),
    "flagged": lambda texts, limits: _within("flagged_ratio", texts.flagged_ratios(), 0, limits.flagged_max),
    "words": lambda texts, limits: _within("words", texts.word_counts(), limits.words_min, limits.words_max),
}


def apply_rules(texts: Sequence[str], limits: Limits) -> list[TextResult]:
    """Results of `unusable` and TEXT_FILTERS for each text."""
    results = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        faults = [unusable(text, limits) for text in batch]
        # Unusable texts are not measured, because they may be of any length.
        usable = [text for text, fault in zip(batch, faults, strict=True) if not fault]
        measured = iter(_apply_measured(Texts(usable), limits))
        results += [TextResult({}, "unusable", fault) if fault else next(measured) for fault in faults]
    return results


def _apply_measured(texts: Texts, limits: Limits) -> list[TextResult]:
    rules = {name: check(texts, limits) for name, check in TEXT_FILTERS.items()}
    names = [rule.measure for rule in rules.values()]
    rows = zip(*(rule.values for rule in rules.values()), strict=True)
    results = [TextResult(dict(zip(names, row, strict=True))) for row in rows]
    for count, (name, rule) in reversed(
        [*enumerate(rules.items(), start=1)]
    ):  # the first rule to reject is applied last
        for index, detail in rule.wrong.items():
            measures = results[index].measures
            results[index] = TextResult({measure: measures[measure] for measure in names[:count]}, name, detail)
    return results


def filter_texts(
    chunks: Iterable[list[Caption]], limits: Limits, kenlm: Path | None
) -> Iterator[tuple[list[Caption], list[bytes]]]:
    """Each filtered chunk in order, with the fingerprints (`duplicates.fingerprint`) of its remaining captions.

    `kenlm` is the directory of the 5-gram model, if there is one. A single chunk is filtered in this process.
    """
    work = partial(_filter_chunk, limits=limits, kenlm=kenlm)
    rest = iter(chunks)
    first = list(islice(rest, 2))
    if len(first) < 2:
        for chunk in first:
            yield chunk, _apply(chunk, work(_inputs(chunk)))
        return
    num_workers = usable_cores()
    # Forked, because a new interpreter would import the stage with all its models; workers need Python and NumPy alone.
    with process_pool(num_workers, "fork") as pool:
        submitted = ((chunk, pool.submit(work, _inputs(chunk))) for chunk in chain(first, rest))
        pending = deque(islice(submitted, num_workers + 1))
        while pending:
            chunk, future = pending.popleft()
            pending.extend(islice(submitted, 1))
            yield chunk, _apply(chunk, future.result())


def _inputs(chunk: Sequence[Caption]) -> list[tuple[str, str]]:
    return [(caption.text, caption.concept) for caption in remaining(chunk)]


def _apply(chunk: Sequence[Caption], results: Sequence[tuple[TextResult, bytes]]) -> list[bytes]:
    """Store the results in the captions; returns the fingerprints of those that pass."""
    for caption, (result, _) in zip(remaining(chunk), results, strict=True):
        caption.measures |= result.measures
        if result.reason is not None:
            caption.reject(result.reason, result.detail)
    return [fingerprint for result, fingerprint in results if result.reason is None]


def _filter_chunk(
    inputs: Sequence[tuple[str, str]], limits: Limits, kenlm: Path | None
) -> list[tuple[TextResult, bytes]]:
    """Result and fingerprint (empty after a rejection) of each (text, concept); runs in a worker."""
    results = []
    for (text, concept), result in zip(inputs, apply_rules([text for text, _ in inputs], limits), strict=True):
        if result.reason is None and kenlm is not None:
            value = _kenlm(kenlm).perplexity(text)
            result = TextResult(result.measures | {"perplexity": value})
            if value > limits.perplexity_max:
                result = result._replace(reason="perplexity", detail=f"{value:.1f} > {limits.perplexity_max}")
        results.append((result, fingerprint(text, concept, limits) if result.reason is None else b""))
    return results
