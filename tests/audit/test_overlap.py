"""Shared n-grams by hand-made examples: shares, exact matches, short texts, and which item is told."""

import pytest

from synthpairs.audit.overlap import Wording, ngrams

TEXTS = {
    "A picture of a red dog on a blue background": "caption/1",
    "A dog": "vqa/7",
    "What is on the right?": "vqa/2",
    "a picture of a red cat on a blue background": "caption/3",
}


def test_ngrams_are_words_without_case_and_punctuation() -> None:
    assert ngrams("A dog, a  DOG; a dog!", 2) == ["a dog", "dog a"]
    assert ngrams("One two three", 3) == ["one two three"]
    assert ngrams("One two", 3) == ["one two"]
    assert ngrams("?!", 3) == []


def test_share_is_of_the_captions_different_ngrams() -> None:
    wording = Wording(TEXTS, 4)
    found = wording.compare(
        "a picture of a red dog in the garden"
    )  # 6 n-grams: two are shared by both, one by the first
    assert found.share == pytest.approx(3 / 6)
    assert (found.exact, found.item) == (False, "caption/1")
    assert wording.compare("a picture of a red fox").item == "caption/1", "the first by name of equals"
    nothing = wording.compare("two snails beside a trumpet")
    assert (nothing.share, nothing.exact, nothing.item) == (0, False, None)


def test_exact_is_after_normalising_and_keeps_case() -> None:
    wording = Wording(TEXTS, 4)
    found = wording.compare("  a picture of a red cat\ton a blue background ")
    assert (found.share, found.exact, found.item) == (1, True, "caption/3")
    other = wording.compare("A Picture of a red cat on a blue background")
    assert (other.share, other.exact) == (1, False)


def test_short_captions_match_only_texts_of_the_same_words() -> None:
    wording = Wording(TEXTS, 8)
    assert wording.compare("a dog!").share == 1
    assert wording.compare("a dog!").item == "vqa/7"
    assert wording.compare("a red dog on a blue background").share == 0, "seven words inside a longer text"
    assert wording.compare("").share == 0
