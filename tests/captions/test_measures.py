"""Measures against values computed by hand from Data-Juicer's definitions, and against direct counting."""

import math
from collections import Counter

import numpy as np
import pytest

from synthpairs.captions import measures
from synthpairs.captions.measures import Texts

TROUBLESOME = (
    "ab ",
    "dog, a big dog. ",
    "aA\u03a3\u03c3\u03c2\u0130i\u0131' .",  # lower case depends on the neighbouring letters
    "\U0001f600\U0001f525\u2764\ufe0f\u0301e\u00e9 \u3000",
    "\ud83d\ude00\udfff a",  # lone surrogates
    "0123 _-!\n\t\x1c\x85\u2028\x00",
    "xxx nude 2g1c ",
)


@pytest.mark.parametrize(
    ("measure", "text", "expected"),
    [
        ("alnum_ratios", "a red dog!", 7 / 10),
        ("special_ratios", "a red dog!", 3 / 10),
        ("alnum_ratios", "IMG_01.JPG", 8 / 10),
        ("special_ratios", "IMG_01.JPG", 4 / 10),  # a digit counts as both
        ("special_ratios", "caf\u00e9", 0.0),
        ("special_ratios", "ok \U0001f600\u2122", 3 / 5),  # emoji and symbols are special
        # ab ba ab ba ab: 2 distinct, both repeat, top min(isqrt(2), 2) = 1 of counts 3, 2.
        (("char_repetitions", 2), "ababab", 3 / 5),
        # ab bc cd da ab bc cd de ef: counts 2 2 2 1 1 1, top min(isqrt(6), 3) = 2.
        (("char_repetitions", 2), "abcdabcdef", 4 / 9),
        (("char_repetitions", 10), "a cat on a red mat", 0.0),
        (("word_repetitions", 2), "dog cat dog cat dog", 1.0),  # dog-cat 2, cat-dog 2
        (("word_repetitions", 2), "A dog, a dog on a mat.", 2 / 6),  # case and punctuation at word ends do not count
        (("word_repetitions", 1), "two two, TWO! \u201ctwo\u201d", 1.0),
        ("word_counts", '  "Two" dogs -- it\'s 3 RED-ish (cats)! ', 5),  # special characters alone are no word
        ("flagged_ratios", "A NUDE! painting of grapes", 1 / 5),  # whole words only
        ("flagged_ratios", "a classic bass guitar", 0.0),
    ],
)
def test_values_by_data_juicers_definitions(measure, text, expected):
    name, *n = [measure] if isinstance(measure, str) else measure
    assert getattr(Texts([text]), name)(*n) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 16])
def test_batched_measures_equal_direct_counting_exactly(n):
    rng = np.random.default_rng(n)
    texts = ["", "", "a" * n, "ab" * 1000, "a long text without end " * 500, *TROUBLESOME]
    for _ in range(800):
        characters = [*TROUBLESOME[rng.integers(len(TROUBLESOME))]]
        texts.append("".join(rng.choice(characters, rng.choice([0, 1, n - 1, n, n + 1, 12, 40, 300]))))
        texts.append("".join(map(chr, rng.integers(0x110000, size=20))))
    measured = Texts(texts)
    for value, expected in (
        (measured.alnum_ratios(), [ratio(sum(map(str.isalnum, text)), len(text)) for text in texts]),
        (measured.special_ratios(), [ratio(sum(map(measures.is_special, text)), len(text)) for text in texts]),
        (measured.char_repetitions(n), [char_repetition(text, n) for text in texts]),
        (measured.word_repetitions(n), [word_repetition(words_of(text), n) for text in texts]),
        (measured.flagged_ratios(), [flagged_ratio(words_of(text)) for text in texts]),
        (measured.word_counts(), [len(words_of(text)) for text in texts]),
    ):
        assert value.tolist() == expected


def ratio(part, whole):
    return part / whole if whole else 0.0


def words_of(text):
    words = []
    for word in text.lower().split():
        special = [measures.is_special(character) for character in word]
        if not all(special):
            words.append(word[special.index(False) : len(word) - special[::-1].index(False)])
    return words


def char_repetition(text, n):
    counts = sorted(Counter(text[start : start + n] for start in range(len(text) - n + 1)).values(), reverse=True)
    top = min(math.isqrt(len(counts)), sum(count > 1 for count in counts))
    return ratio(sum(counts[:top]), sum(counts))


def word_repetition(words, n):
    grams = Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
    return ratio(sum(count for count in grams.values() if count > 1), grams.total())


def flagged_ratio(words):
    return ratio(sum(word in measures.flagged_words() for word in words), len(words))
