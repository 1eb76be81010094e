"""The filters that look at one caption's text: each takes its measure and says what is wrong, if anything is."""

import re
import unicodedata
from collections.abc import Callable

from synthpairs.captions import measures
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption

_HTML = re.compile(r"</?[a-z][^<>]*>|<!--|&(?:[a-z]+|#\d+);", re.IGNORECASE)
TextFilter = Callable[[Caption, Limits], str | None]


def unusable(caption: Caption, limits: Limits) -> str | None:
    """Empty, too long to be a caption, with control or replacement characters, or with HTML."""
    text = caption.text
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


def alnum(caption: Caption, limits: Limits) -> str | None:
    """Too few letters and digits."""
    value = _take(caption, "alnum_ratio", measures.alnum_ratio(caption.text))
    return _outside(value, limits.alnum_min, 1)


def special(caption: Caption, limits: Limits) -> str | None:
    """Too few special characters, white space being one of them, or too many."""
    value = _take(caption, "special_ratio", measures.special_ratio(caption.text))
    return _outside(value, limits.special_min, limits.special_max)


def char_repetition(caption: Caption, limits: Limits) -> str | None:
    """The same stretches of characters again and again."""
    value = _take(caption, "char_repetition", measures.char_repetition(caption.text, limits.char_ngram))
    return _outside(value, 0, limits.char_repetition_max)


def word_repetition(caption: Caption, limits: Limits) -> str | None:
    """The same runs of words again and again."""
    value = _take(caption, "word_repetition", measures.word_repetition(caption.text, limits.word_ngram))
    return _outside(value, 0, limits.word_repetition_max)


def flagged(caption: Caption, limits: Limits) -> str | None:
    """Words that no caption may have."""
    value = _take(caption, "flagged_ratio", measures.flagged_ratio(caption.text))
    return _outside(value, 0, limits.flagged_max)


def words(caption: Caption, limits: Limits) -> str | None:
    """Too short to say anything, or too long for a caption."""
    count = len(measures.words_of(caption.text))
    caption.measures["words"] = count
    return _outside(count, limits.words_min, limits.words_max)


# In the order in which they are asked: the paper's, cheap ones first.
TEXT_FILTERS: dict[str, TextFilter] = {
    "unusable": unusable,
    "alnum": alnum,
    "special": special,
    "char_repetition": char_repetition,
    "word_repetition": word_repetition,
    "flagged": flagged,
    "words": words,
}


def _take(caption: Caption, name: str, value: float) -> float:
    caption.measures[name] = value
    return value


def _outside(value: float, low: float, high: float) -> str | None:
    if value < low:
        return f"{value:.4g} < {low}"
    return f"{value:.4g} > {high}" if value > high else None
