"""Exact and near duplicates."""

import numpy as np
import pytest

from synthpairs.captions.duplicates import Duplicates, fingerprint
from synthpairs.captions.record import Caption


@pytest.fixture
def rejected(tmp_path, limits):
    """Makes captions of texts and rejects duplicates in chunks of two; returns captions and reasons."""

    def captions(texts, concepts=1, **changed):
        all_captions = [Caption(text=text, source="s", concept=str(i % concepts)) for i, text in enumerate(texts)]
        duplicates = Duplicates(tmp_path / "duplicates", limits(**changed))
        chunks = [all_captions[start : start + 2] for start in range(0, len(texts), 2)]
        for chunk in chunks:
            duplicates.add(chunk, [fingerprint(one.text, one.concept, limits(**changed)) for one in chunk])
        duplicates.search()
        for chunk in chunks:
            duplicates.reject(chunk)
        return all_captions, [caption.reason for caption in all_captions]

    return captions


def test_the_first_of_equal_captions_is_kept_ignoring_case_and_spacing(rejected):
    texts = ["a Dog on a mat", "a dog on blue", "A dog  on\na mat", "one more"]
    captions, reasons = rejected(texts, near_jaccard=1.0)
    assert reasons == [None, None, "exact_duplicate", None]
    assert captions[0].uid in captions[2].detail


def test_near_duplicates_have_the_exact_jaccard_similarity(rejected):
    one, other = "an illustration of a dog on a red mat", "an illustration of a dog on a red mat."
    parts = [{text[start : start + 5] for start in range(len(text) - 4)} for text in (one, other)]
    similarity = len(parts[0] & parts[1]) / len(parts[0] | parts[1])  # 33 / 34
    captions, reasons = rejected([one, "something else altogether", other], near_jaccard=similarity)
    assert reasons == [None, None, "near_duplicate"]
    assert captions[2].detail == f"{similarity:.3f} of {captions[0].uid}: {one}"
    assert rejected([one, other], near_jaccard=similarity + 1e-6)[1] == [None, None]


def test_captions_are_not_compared_with_rejected_ones(rejected):
    # a~b and b~c, but not a~c: c is kept, because b is rejected.
    texts = ["abcdefghij", "abcdefghijkl", "cdefghijkl"]
    assert rejected(texts, near_ngram=2, near_jaccard=0.8)[1] == [None, "near_duplicate", None]


def test_duplicates_are_those_of_pairwise_comparison(rejected):
    rng = np.random.default_rng(1)
    words = ["red", "dog", "cat", "on", "a", "mat", "blue", "of"]
    texts = [" ".join(rng.choice(words, 5)) for _ in range(400)]
    # One row per band: all captions that share a hash are compared, so hardly any pair is missed.
    captions, reasons = rejected(texts, concepts=2, near_ngram=3, near_jaccard=0.6, near_bands=64, near_rows=1)
    kept, expected = [], []
    for caption in captions:
        grams = {caption.text[start : start + 3] for start in range(len(caption.text) - 2)}
        others = [other for concept, other in kept if concept == caption.concept]
        near = any(len(grams & other) / len(grams | other) >= 0.6 for other in others)
        same = caption.text in texts[: len(expected)]
        expected.append("exact_duplicate" if same else "near_duplicate" if near else None)
        if expected[-1] is None:
            kept.append((caption.concept, grams))
    assert reasons == expected
    assert len(set(expected)) == 3
