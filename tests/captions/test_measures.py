"""Every measure against values worked out by hand from Data-Juicer's definitions."""

import math
from collections import Counter

import numpy as np
import pytest

from synthpairs.captions import measures


@pytest.mark.parametrize(
    ("text", "alnum", "special"),
    [
        ("a red dog!", 7 / 10, 3 / 10),
        ("IMG_01.JPG", 8 / 10, 4 / 10),  # a digit counts as both
        ("caf\u00e9", 1.0, 0.0),
        ("ok \U0001f600\u2122", 2 / 5, 3 / 5),  # emoji and symbols are special
        ("", 0.0, 0.0),
    ],
)
def test_character_ratios(text: str, alnum: float, special: float) -> None:
    assert measures.alnum_ratio(text) == pytest.approx(alnum)
    assert measures.special_ratio(text) == pytest.approx(special)


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        # ab ba ab ba ab: 2 distinct, both repeat, top min(isqrt(2), 2) = 1 of counts 3, 2.
        ("ababab", 2, 3 / 5),
        # ab bc cd da ab bc cd de ef: counts 2 2 2 1 1 1, top min(isqrt(6), 3) = 2.
        ("abcdabcdef", 2, 4 / 9),
        ("a cat on a red mat", 10, 0.0),  # nothing repeats
        ("short", 10, 0.0),
    ],
)
def test_character_repetition(text: str, n: int, expected: float) -> None:
    assert measures.char_repetition(text, n) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        ("dog cat dog cat dog", 2, 1.0),  # dog-cat 2, cat-dog 2
        ("A dog, a dog on a mat.", 2, 2 / 6),  # a-dog twice of six: case and punctuation at word ends do not count
        ("one two three", 4, 0.0),
        ("", 2, 0.0),
    ],
)
def test_word_repetition(text: str, n: int, expected: float) -> None:
    assert measures.word_repetition(text, n) == pytest.approx(expected)


def test_words_are_stripped_of_special_characters_and_nothing_is_no_word() -> None:
    assert measures.words_of('  "Two" dogs -- it\'s 3 RED-ish (cats)! ') == ("two", "dogs", "it's", "red-ish", "cats")


def test_flagged_words_count_whole_words_in_any_case() -> None:
    assert measures.flagged_ratio("A NUDE! painting of grapes") == pytest.approx(1 / 5)
    assert measures.flagged_ratio("a classic bass guitar") == 0.0  # no parts of words
    assert measures.flagged_ratio("") == 0.0
    assert all(word == word.lower().strip() and " " not in word for word in measures.flagged_words())


def test_short_ways_give_what_counting_everything_gives() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        letters = rng.choice(["a", "b", "a b", "c ", " ", "1", "\u00e9", "."], rng.integers(0, 40))
        text, n = "".join(letters), int(rng.integers(1, 12))
        grams = [text[start : start + n] for start in range(len(text) - n + 1)]
        counts = sorted(Counter(grams).values(), reverse=True)
        top = min(math.isqrt(len(counts)), sum(count > 1 for count in counts))
        assert measures.char_repetition(text, n) == (sum(counts[:top]) / len(grams) if grams else 0.0)
        words = measures.words_of(text)
        runs = Counter(words[start : start + n] for start in range(len(words) - n + 1))
        repeated = sum(count for count in runs.values() if count > 1)
        assert measures.word_repetition(text, n) == (repeated / runs.total() if runs else 0.0)
        if text:
            assert measures.alnum_ratio(text) == sum(map(str.isalnum, text)) / len(text)
            assert measures.special_ratio(text) == sum(map(measures.is_special, text)) / len(text)
