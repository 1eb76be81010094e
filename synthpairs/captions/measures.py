"""What is measured about captions' texts alone, with Data-Juicer's definitions (SynthVLM's supplement, table 1).

Many texts at once, for most of what one text costs by itself is the calls.
"""

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
_VOCABULARY = 2**16  # words that are remembered, about 10 MB


class Texts:
    """Some texts, a thousand or so: all together should fit in the processor's caches. Measures have one value for each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._lengths = np.fromiter(map(len, texts), np.int64, len(texts))

    @cached_property
    def _codes(self) -> np.ndarray:
        """All characters, end to end."""
        return np.frombuffer("".join(self._texts).encode("utf-32-le", "surrogatepass"), np.uint32)

    @cached_property
    def _classes(self) -> np.ndarray:
        table = _character_classes()
        classes = table[self._codes]
        if not classes.all():
            for code in np.unique(self._codes[classes == 0]).tolist():
                table[code] = _class_of(chr(code))
            classes = table[self._codes]
        return classes

    @cached_property
    def _words(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of all words, end to end, and how many each text has.

        A word is what stands between white space, in lower case, without the special characters at its ends, if anything
        is left of it.
        """
        vocabulary, numbers, ends = _vocabulary(), array("q"), array("q")
        if len(vocabulary) > _VOCABULARY:
            _vocabulary.cache_clear()
            vocabulary = _vocabulary()
        number_of = vocabulary.__getitem__
        for text in self._texts:
            numbers.extend(map(number_of, text.split()))
            ends.append(len(numbers))
        found = np.frombuffer(numbers, np.int64)
        kept = np.concatenate([[0], np.cumsum(found > 0)])[np.frombuffer(ends, np.int64)]
        return found[found > 0], np.diff(kept, prepend=0)

    def alnum_ratios(self) -> np.ndarray:
        """Alphanumeric characters / characters; 0 for an empty text."""
        return _ratios(_sums(self._classes & _ALNUM > 0, self._lengths), self._lengths)

    def special_ratios(self) -> np.ndarray:
        """Special characters, white space included / characters; 0 for an empty text."""
        return _ratios(_sums(self._classes & _SPECIAL > 0, self._lengths), self._lengths)

    def char_repetitions(self, n: int) -> np.ndarray:
        """Share of the overlapping character n-grams that the most repeated ones make up; 0 for a text shorter than n.

        Counted are the k most frequent, k = min(floor(sqrt(distinct n-grams)), n-grams that occur more than once).
        """
        text, count = repeated(self._codes, self._lengths, n)
        grams = np.maximum(self._lengths - n + 1, 0)
        distinct = grams - np.bincount(text, count - 1, len(grams)).astype(np.int64)
        rank = np.arange(len(text)) - np.searchsorted(text, text)  # of an n-gram in its text, most frequent ones first
        count = count[np.lexsort((-count, text))]
        top = rank < np.sqrt(distinct).astype(np.int64)[text]
        return _ratios(np.bincount(text[top], count[top], len(grams)), grams)

    def word_repetitions(self, n: int) -> np.ndarray:
        """Share of the word n-grams that occur more than once; 0 for a text of fewer than n words."""
        numbers, lengths = self._words
        text, count = repeated(numbers, lengths, n)
        return _ratios(np.bincount(text, count, len(lengths)), lengths - n + 1)

    def flagged_ratios(self) -> np.ndarray:
        """Flagged words / words; 0 for a text without words."""
        numbers, lengths = self._words
        return _ratios(_sums(numbers <= _vocabulary().flagged, lengths), lengths)

    def word_counts(self) -> np.ndarray:
        """Words."""
        return self._words[1]


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


@cache
def flagged_words() -> frozenset[str]:
    """The words that no caption may have: flagged_words.txt beside this file, one a line."""
    lines = Path(__file__).with_name("flagged_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


class _Vocabulary(dict[str, int]):
    """A number for each word, as it stands in the text: 0 if nothing is left of it, 1 to `flagged` if it is flagged."""

    def __init__(self) -> None:
        super().__init__({"": 0})
        for word in sorted(flagged_words()):
            if _bare(word) == word:  # what no word can be is not found
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
    """Bits of each code point, 0 for those that were not met so far."""
    return np.zeros(0x110000, np.uint8)


def _class_of(character: str) -> int:
    return _KNOWN + _ALNUM * character.isalnum() + _SPECIAL * is_special(character)


def _sums(marks: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """How many marks there are in each of the stretches of these lengths that lie end to end."""
    ends = np.cumsum(lengths)
    before = np.concatenate([[0], np.cumsum(marks)])
    return np.asarray(before[ends] - before[ends - lengths])


def _ratios(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    """Parts / wholes; 0 where there is no whole."""
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)
