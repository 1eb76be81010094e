"""What is measured about a caption's text alone, with Data-Juicer's definitions (SynthVLM's supplement, table 1)."""

import math
import string
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from pathlib import Path

_ASCII_SPECIAL = frozenset(string.punctuation + string.digits + string.whitespace)
_ALNUM_BYTES = (string.ascii_letters + string.digits).encode()


@cache
def is_special(character: str) -> bool:
    """Whether it counts as special: punctuation, digit, white space, symbol or emoji.

    Data-Juicer lists its symbols one by one; Unicode's classes hold the same ones and those that the list forgot.
    """
    return character in _ASCII_SPECIAL or unicodedata.category(character) in {
        *("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
        *("Sm", "Sc", "Sk", "So"),
        *("Zs", "Zl", "Zp", "Nd", "No", "Cc", "Cf"),
    }


@lru_cache(maxsize=2)  # several filters ask about one text in turn
def words_of(text: str) -> tuple[str, ...]:
    """Lower-case words between white space, without the special characters at their ends."""
    words = []
    for word in text.lower().split():
        if bare := word if word.isalpha() else _bare(word):
            words.append(bare)
    return tuple(words)


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and is_special(word[start]):
        start += 1
    while end > start and is_special(word[end - 1]):
        end -= 1
    return word[start:end]


@cache
def _special_bytes() -> bytes:
    return bytes(number for number in range(128) if is_special(chr(number)))


def _count(text: str, wanted: bytes) -> int:
    """How many of an ASCII text's characters are wanted, by what is left without them: compiled code, ten times as fast."""
    return len(text) - len(text.encode().translate(None, wanted))


def alnum_ratio(text: str) -> float:
    """Alphanumeric characters / characters; 0 for an empty text."""
    if text.isascii():
        return _count(text, _ALNUM_BYTES) / len(text) if text else 0.0
    return sum(map(str.isalnum, text)) / len(text)


def special_ratio(text: str) -> float:
    """Special characters, white space included / characters; 0 for an empty text."""
    if text.isascii():
        return _count(text, _special_bytes()) / len(text) if text else 0.0
    return sum(map(is_special, text)) / len(text)


def char_repetition(text: str, n: int) -> float:
    """Share of the overlapping character n-grams that the most repeated ones make up; 0 for a text shorter than n.

    Counted are the k most frequent, k = min(floor(sqrt(distinct n-grams)), n-grams that occur more than once).
    """
    if not _repeats(text, n):  # as most captions, and counting takes several times as long
        return 0.0
    counts = sorted(Counter(text[start : start + n] for start in range(len(text) - n + 1)).values(), reverse=True)
    top = min(math.isqrt(len(counts)), sum(count > 1 for count in counts))
    return sum(counts[:top]) / sum(counts)


def _repeats(text: str, n: int) -> bool:
    """Whether any n-gram occurs twice.

    Every n-gram holds one of the blocks of n - step + 1 characters that start at the multiples of `step`; if it repeats an
    earlier n-gram, its block occurs earlier, too, and what stands around the block both times is equal as far as needed.
    """
    step = max(1, n // 2)
    length = n - step + 1
    for at in range(0, len(text) - length + 1, step):
        block = text[at : at + length]
        earlier = text.find(block)
        while earlier < at:
            if length + _equal_around(text, earlier, at, length, step - 1) >= n:
                return True
            earlier = text.find(block, earlier + 1)
    return False


def _equal_around(text: str, one: int, other: int, length: int, most: int) -> int:
    """How many characters beside two equal blocks, `other` the later one, agree: at most `most` on either side."""
    left = right = 0
    while left < min(most, one) and text[one - left - 1] == text[other - left - 1]:
        left += 1
    while right < min(most, len(text) - other - length) and text[one + length + right] == text[other + length + right]:
        right += 1
    return left + right


def word_repetition(text: str, n: int) -> float:
    """Share of the word n-grams that occur more than once; 0 for a text of fewer than n words."""
    words = words_of(text)
    if len(words) - len(set(words)) < n:  # of an n-gram that repeats an earlier one each word has been there before
        return 0.0
    grams = [words[start : start + n] for start in range(len(words) - n + 1)]
    return sum(count for count in Counter(grams).values() if count > 1) / len(grams)


@cache
def flagged_words() -> frozenset[str]:
    """The words that no caption may have: flagged_words.txt beside this file, one a line."""
    lines = Path(__file__).with_name("flagged_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def flagged_ratio(text: str) -> float:
    """Flagged words / words; 0 for a text without words."""
    words = words_of(text)
    if flagged_words().isdisjoint(words):
        return 0.0
    return sum(word in flagged_words() for word in words) / len(words)
