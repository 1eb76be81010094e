"""The filters that look at captions' texts: each takes its measure of a batch and says what is wrong, if anything is."""

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from synthpairs.captions.measures import Texts
from synthpairs.captions.params import Limits

_HTML = re.compile(r"</?[a-z][^<>]*>|<!--|&(?:[a-z]+|#\d+);", re.IGNORECASE)
BATCH = 512  # captions: a few hundred KB for each of their arrays


class Found(NamedTuple):
    """What a filter found in a batch of texts."""

    measure: str  # its column in the tables
    values: list[float]  # one for each text
    wrong: dict[int, str]  # place of each text to reject, and why


class Finding(NamedTuple):
    """What all filters found in one text; the ones after a rejection are not asked, so their measures are missing."""

    measures: dict[str, float]
    reason: str | None = None  # name of the filter that rejects it
    detail: str = ""


TextFilter = Callable[[Texts, Limits], Found]


def unusable(text: str, limits: Limits) -> str | None:
    """Empty, too long to be a caption, with control or replacement characters, or with HTML."""
    if not text.strip():
        return "empty"
    if len(text) > limits.max_characters:
        return f"{len(text)} characters > {limits.max_characters}"
    if "\ufffd" in text:
        return "bytes that are not UTF-8"
    # Most texts are printable, and then no character needs to be looked at.
    odd = () if text.isprintable() else text
    if control := next((char for char in odd if unicodedata.category(char) == "Cc" and not char.isspace()), None):
        return f"control character U+{ord(control):04X}"
    if tag := _HTML.search(text):
        return f"HTML: {tag.group()[:40]}"
    return None


def _outside(measure: str, values: np.ndarray, low: float, high: float) -> Found:
    numbers: list[float] = values.tolist()
    wrong = {}
    for place in np.flatnonzero((values < low) | (values > high)).tolist():
        value = numbers[place]
        wrong[place] = f"{value:.4g} < {low}" if value < low else f"{value:.4g} > {high}"
    return Found(measure, numbers, wrong)


# In the order in which they are asked: the paper's, cheap ones first.
TEXT_FILTERS: dict[str, TextFilter] = {
    "alnum": lambda texts, limits: _outside("alnum_ratio", texts.alnum_ratios(), limits.alnum_min, 1),
    "special": lambda texts, limits: _outside(
        "special_ratio", texts.special_ratios(), limits.special_min, limits.special_max
    ),
    "char_repetition": lambda texts, limits: _outside(
        "char_repetition", texts.char_repetitions(limits.char_ngram), 0, limits.char_repetition_max
    ),
    "word_repetition": lambda texts, limits: _outside(
        "word_repetition", texts.word_repetitions(limits.word_ngram), 0, limits.word_repetition_max
    ),
    "flagged": lambda texts, limits: _outside("flagged_ratio", texts.flagged_ratios(), 0, limits.flagged_max),
    "words": lambda texts, limits: _outside("words", texts.word_counts(), limits.words_min, limits.words_max),
}


def examined(texts: Sequence[str], limits: Limits) -> list[Finding]:
    """What `unusable` and then TEXT_FILTERS say about each text."""
    findings = []
    for start in range(0, len(texts), BATCH):
        batch = texts[start : start + BATCH]
        troubles = [unusable(text, limits) for text in batch]
        # Unusable texts, which may be of any length, are not laid out among the others.
        usable = [text for text, trouble in zip(batch, troubles, strict=True) if not trouble]
        rest = iter(_filtered(Texts(usable), limits))
        findings += [Finding({}, "unusable", trouble) if trouble else next(rest) for trouble in troubles]
    return findings


def _filtered(texts: Texts, limits: Limits) -> list[Finding]:
    found = {name: check(texts, limits) for name, check in TEXT_FILTERS.items()}
    names = [one.measure for one in found.values()]
    rows = zip(*(one.values for one in found.values()), strict=True)
    findings = [Finding(dict(zip(names, row, strict=True))) for row in rows]
    for asked, (name, one) in reversed([*enumerate(found.items(), start=1)]):  # the first to reject has the last word
        for place, detail in one.wrong.items():
            measures = findings[place].measures
            findings[place] = Finding({measure: measures[measure] for measure in names[:asked]}, name, detail)
    return findings
