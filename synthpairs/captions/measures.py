"""Measures of texts with Data-Juicer's definitions (SynthVLM's supplement, table 1), vectorised over many texts."""

import string
import unicodedata
from array import array
from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from synthpairs.captions.repetition import repeated

_ASCII_SPECIAL = frozenset(string.punctuation + string.digits + string.whitespace)
_KNOWN, _ALNUM, _SPECIAL = 1, 2, 4  # bits of a character's class
_VOCABULARY = 2**16  # cached words, about 10 MB


class Texts:
    """Measures of a batch of texts, one value for each. A batch of about a thousand fits in the processor's caches."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._lengths = np.fromiter(map(len, texts), np.int64, len(texts))

    @cached_property
    def _code_points(self) -> np.ndarray:
        """Characters of all texts, concatenated."""
        return np.frombuffer("".join(self._texts).encode("utf-32-le", "surrogatepass"), np.uint32)

    @cached_property
    def _classes(self) -> np.ndarray:
        table = _character_classes()
        classes = table[self._code_points]
        if not classes.all():
            for code in np.unique(self._code_points[classes == 0]).tolist():
                character = chr(code)
                table[code] = _KNOWN + _ALNUM * character.isalnum() + _SPECIAL * is_special(character)
            classes = table[self._code_points]
        return classes

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray]:
        """Word ids of all texts, concatenated, and the number of words of each text.

        Words are separated by white space, in lower case, and stripped of special characters at both ends.
        """
        vocabulary, ids, ends = _vocabulary(), array("q"), array("q")
        if len(vocabulary) > _VOCABULARY:
            _vocabulary.cache_clear()
            vocabulary = _vocabulary()
        id_of = vocabulary.__getitem__
        for text in self._texts:
            ids.extend(map(id_of, text.split()))
            ends.append(len(ids))
        words = np.frombuffer(ids, np.int64)
        word_ends = np.concatenate([[0], np.cumsum(words > 0)])[np.frombuffer(ends, np.int64)]
        return words[words > 0], np.diff(word_ends, prepend=0)

    def alnum_ratios(self) -> np.ndarray:
        """Alphanumeric characters / characters; 0 for an empty text."""
        return _ratios(_sums(self._classes & _ALNUM > 0, self._lengths), self._lengths)

    def special_ratios(self) -> np.ndarray:
        """Special characters (see `is_special`) / characters; 0 for an empty text."""
        return _ratios(_sums(self._classes & _SPECIAL > 0, self._lengths), self._lengths)

    def char_repetitions(self, n: int) -> np.ndarray:
        """Share of the k most frequent character n-grams among all; 0 for a text shorter than n.

        k = min(floor(sqrt(distinct n-grams)), n-grams that occur more than once).
        """
        text, count = repeated(self._code_points, self._lengths, n)
        grams = np.maximum(self._lengths - n + 1, 0)
        distinct = grams - np.bincount(text, count - 1, len(grams)).astype(np.int64)
        rank = np.arange(len(text)) - np.searchsorted(text, text)  # of an n-gram within its text
        count = count[np.lexsort((-count, text))]
        top = rank < np.sqrt(distinct).astype(np.int64)[text]
        return _ratios(np.bincount(text[top], count[top], len(grams)), grams)

    def word_repetitions(self, n: int) -> np.ndarray:
        """Share of the word n-grams that occur more than once; 0 for a text of fewer than n words."""
        words, lengths = self._words
        text, count = repeated(words, lengths, n)
        return _ratios(np.bincount(text, count, len(lengths)), lengths - n + 1)

    def flagged_ratios(self) -> np.ndarray:
        """Flagged words / words; 0 for a text without words."""
        words, lengths = self._words
        return _ratios(_sums(words <= _vocabulary().flagged, lengths), lengths)

    def word_counts(self) -> np.ndarray:
        """Number of words."""
        return self._words[1]


@cache
def is_special(character: str) -> bool:
    """Whether a character is special: punctuation, digit, white space, symbol or emoji.

    Data-Juicer lists its symbols one by one; the Unicode categories cover the list and what it lacks.
    """
    return character in _ASCII_SPECIAL or unicodedata.category(character) in {
        *("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"),
        *("Sm", "Sc", "Sk", "So"),
        *("Zs", "Zl", "Zp", "Nd", "No", "Cc", "Cf"),
    }


@cache
def flagged_words() -> frozenset[str]:
    """The words of flagged_words.txt, one per line."""
    lines = Path(__file__).with_name("flagged_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


class _Vocabulary(dict[str, int]):
    """Ids of words as written: 0 if only special characters, 1 to `flagged` if flagged; equal for words equal when stripped."""

    def __init__(self) -> None:
        super().__init__({"": 0})
        for word in sorted(flagged_words()):
            if _bare(word) == word:  # others can match no word
                self[word] = len(self)
        self.flagged = len(self) - 1

    def __missing__(self, word: str) -> int:
        bare = _bare(word.lower())
        self[word] = number = self[bare] if bare != word else len(self)
        return number


_vocabulary = cache(_Vocabulary)


def _bare(word: str) -> str:
    start, end = 0, len(word)
    while start < end and is_special(word[start]):
        start += 1
    while end > start and is_special(word[end - 1]):
        end -= 1
    return word[start:end]


@cache
def _character_classes() -> np.ndarray:
    """Class bits of each code point, 0 until first needed."""
    return np.zeros(0x110000, np.uint8)


def _sums(mask: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Number of true values in each of the concatenated segments of these lengths."""
    ends = np.cumsum(lengths)
    sums = np.concatenate([[0], np.cumsum(mask)])
    return np.asarray(sums[ends] - sums[ends - lengths])


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Parts / wholes, 0 where a whole is 0 or less."""
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
