"""Duplicates: which of equal captions stays, and how near is near."""

import numpy as np
import pytest

from synthpairs.captions.duplicates import Duplicates, fingerprint
from synthpairs.captions.record import Caption


def made(*texts, source="human", concept="dog"):
    return [Caption(text=text, source=source, concept=concept) for text in texts]


@pytest.fixture
def drop(tmp_path):
    """Rejects duplicates among captions that come in chunks of two."""

    def reject(captions, limits):
        duplicates = Duplicates(tmp_path / "duplicates", limits)
        chunks = [captions[start : start + 2] for start in range(0, len(captions), 2)]
        for chunk in chunks:
            duplicates.add(chunk, [fingerprint(caption.text, caption.concept, limits) for caption in chunk])
        duplicates.find()
        for chunk in chunks:
            duplicates.reject(chunk)

    return reject


def test_the_earlier_source_wins_whatever_case_and_spacing(drop, limits):
    captions = made("a Dog on a mat", "a dog on blue") + made("A dog  on\na mat", "one more", source="model")
    drop(captions, limits(near_jaccard=1.0))
    assert [caption.reason for caption in captions] == [None, None, "exact_duplicate", None]
    assert captions[0].uid in captions[2].detail


def test_near_duplicates_are_measured_by_exact_jaccard(drop, limits):
    one, other = "an illustration of a dog on a red mat", "an illustration of a dog on a red mat."
    parts = [{text[start : start + 5] for start in range(len(text) - 4)} for text in (one, other)]
    similarity = len(parts[0] & parts[1]) / len(parts[0] | parts[1])  # 33 / 34
    captions = made(one, "something else altogether", other)
    drop(captions, limits(near_jaccard=similarity))
    assert [caption.reason for caption in captions] == [None, None, "near_duplicate"]
    assert captions[2].detail == f"{similarity:.3f} of {captions[0].uid}: {one}"
    captions = made(one, other)
    drop(captions, limits(near_jaccard=similarity + 1e-6))
    assert [caption.reason for caption in captions] == [None, None]


def test_a_rejected_caption_rejects_no_other(drop, limits):
    # a~b and b~c, but not a~c: c stays, for b is gone.
    a, b, c = "abcdefghij", "abcdefghijkl", "cdefghijkl"
    captions = made(a, b, c)
    drop(captions, limits(near_ngram=2, near_jaccard=0.8))
    assert [caption.reason for caption in captions] == [None, "near_duplicate", None]


def test_what_is_found_is_what_comparing_all_with_all_finds(drop, limits):
    rng = np.random.default_rng(1)
    words = ["red", "dog", "cat", "on", "a", "mat", "blue", "of"]
    texts = [" ".join(rng.choice(words, 5)) for _ in range(400)]
    captions = [Caption(text=text, source="s", concept=str(number % 2)) for number, text in enumerate(texts)]
    # One row a band: all that share a hash are compared, so that nearly nothing can be missed.
    drop(captions, limits(near_ngram=3, near_jaccard=0.6, near_bands=64, near_rows=1))
    stay = []
    expected = []
    for caption in captions:
        grams = {caption.text[start : start + 3] for start in range(len(caption.text) - 2)}
        same = any(caption.text == text for text, _, _ in stay) or caption.text in texts[: len(expected)]
        near = any(
            concept == caption.concept and len(grams & theirs) / len(grams | theirs) >= 0.6
            for _, concept, theirs in stay
        )
        expected.append("exact_duplicate" if same else "near_duplicate" if near else None)
        if expected[-1] is None:
            stay.append((caption.text, caption.concept, grams))
    assert [caption.reason for caption in captions] == expected
    assert len(set(expected)) == 3
