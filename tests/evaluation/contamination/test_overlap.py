import pytest

from synthpairs.evaluation.contamination.overlap import NgramIndex, ngrams

TEXTS = {
    "A picture of a red dog on a blue background": "caption/1",
    "A dog": "vqa/7",
    "What is on the right?": "vqa/2",
    "a picture of a red cat on a blue background": "caption/3",
}


def test_ngrams_are_words_without_case_and_punctuation():
    assert ngrams("A dog, a  DOG; a dog!", 2) == ["a dog", "dog a"]
    assert ngrams("One two three", 3) == ["one two three"]
    assert ngrams("One two", 3) == ["one two"]
    assert ngrams("?!", 3) == []


def test_share_is_of_the_captions_different_ngrams():
    index = NgramIndex(TEXTS, 4)
    overlap = index.compare("a picture of a red dog in the garden")  # of 6, two are in both texts, one in the first
    assert overlap.share == pytest.approx(3 / 6)
    assert (overlap.exact, overlap.item) == (False, "caption/1")
    assert index.compare("a picture of a red fox").item == "caption/1", "the first by name of equals"
    nothing = index.compare("two snails near a trumpet")
    assert (nothing.share, nothing.exact, nothing.item) == (0, False, None)
    same = index.compare("  a picture of a red cat\ton a blue background ")
    assert (same.share, same.exact, same.item) == (1, True, "caption/3"), "after normalising"
    other = index.compare("A Picture of a red cat on a blue background")
    assert (other.share, other.exact) == (1, False), "case counts"


def test_short_captions_match_only_texts_of_the_same_words():
    index = NgramIndex(TEXTS, 8)
    assert index.compare("a dog!").share == 1
    assert index.compare("a dog!").item == "vqa/7"
    assert index.compare("a red dog on a blue background").share == 0, "seven words inside a longer text"
    assert index.compare("").share == 0
