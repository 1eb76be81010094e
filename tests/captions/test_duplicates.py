"""Duplicates: which of equal captions stays, and how near is near."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from synthpairs.captions import duplicates
from synthpairs.captions.duplicates import drop_exact, drop_near, shingles, signature
from synthpairs.captions.params import Limits
from synthpairs.captions.record import Caption


def made(*texts: str, source: str = "human", concept: str = "dog") -> list[Caption]:
    return [Caption(text=text, source=source, concept=concept) for text in texts]


def test_the_earlier_source_wins_whatever_case_and_spacing() -> None:
    captions = made("a Dog on a mat", "a dog on blue") + made("A dog  on\na mat", "one more", source="model")
    drop_exact(captions)
    assert [caption.reason for caption in captions] == [None, None, "exact_duplicate", None]
    assert captions[0].uid in captions[2].detail


def test_near_duplicates_are_measured_by_exact_jaccard(limits: Callable[..., Limits]) -> None:
    one, other = "an illustration of a dog on a red mat", "an illustration of a dog on a red mat."
    parts = [{text[start : start + 5] for start in range(len(text) - 4)} for text in (one, other)]
    similarity = len(parts[0] & parts[1]) / len(parts[0] | parts[1])  # 33 / 34
    captions = made(one, "something else altogether", other)
    drop_near(captions, limits(near_jaccard=similarity))
    assert [caption.reason for caption in captions] == [None, None, "near_duplicate"]
    assert captions[2].detail == f"{similarity:.3f} of {captions[0].uid}: {one}"
    captions = made(one, other)
    drop_near(captions, limits(near_jaccard=similarity + 1e-6))
    assert [caption.reason for caption in captions] == [None, None]


def test_a_rejected_caption_rejects_no_other(limits: Callable[..., Limits]) -> None:
    # a~b and b~c, but not a~c: c stays, for b is gone.
    a, b, c = "abcdefghij", "abcdefghijkl", "cdefghijkl"
    captions = made(a, b, c)
    drop_near(captions, limits(near_ngram=2, near_jaccard=0.8))
    assert [caption.reason for caption in captions] == [None, "near_duplicate", None]


def test_the_same_words_about_another_thing_are_no_duplicate(limits: Callable[..., Limits]) -> None:
    texts = [f"an illustration showing a {name} against a yellow background" for name in ("cat", "cow")]
    captions = made(texts[0], concept="cat") + made(texts[1], concept="cow")
    drop_near(captions, limits(near_jaccard=0.5))
    assert [caption.reason for caption in captions] == [None, None]


def test_signatures_agree_as_often_as_the_sets_overlap() -> None:
    keys = duplicates._hash_keys(4096)
    one, other = shingles("a dog on a red background", 5), shingles("a dog on a red backdrop", 5)
    agreeing = np.mean(signature(one, keys) == signature(other, keys))
    assert agreeing == pytest.approx(len(one & other) / len(one | other), abs=0.03)
    assert signature(one, keys[:2]).tolist() == signature(one, keys)[:2].tolist()


def test_hashes_are_the_same_in_every_process() -> None:
    assert shingles("dog", 5) == {4144657192359730335}


def test_every_duplicate_is_found_among_many_in_little_time(limits: Callable[..., Limits]) -> None:
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 5)) for _ in range(400)]
    texts = [" ".join(rng.choice(words, 8)) for _ in range(1500)]
    captions = made(*texts, *(f"{text} x" for text in texts[:200]), *["the same again and again"] * 1500)
    started = time.process_time()
    drop_near(captions, limits())
    assert sum(caption.reason is not None for caption in captions) == 200 + 1499
    assert time.process_time() - started < 10  # comparing all with all takes minutes
