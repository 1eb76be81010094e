"""Repeated n-grams beside those that a Counter finds, with good hashes and with hashes that cannot tell n-grams apart."""

from collections import Counter

import numpy as np
import pytest

from synthpairs.captions import repetition
from synthpairs.captions.repetition import repeated


def counted(sequences, n):
    found = []
    for place, numbers in enumerate(sequences):
        grams = Counter(tuple(numbers[start : start + n].tolist()) for start in range(len(numbers) - n + 1))
        found += [(place, count) for count in grams.values() if count > 1]
    return sorted(found)


@pytest.mark.parametrize("collisions", ["none", "of anagrams", "of texts", "of all"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
def test_repeated_n_grams_are_those_that_counting_finds(n, collisions, monkeypatch):
    if collisions in ("of anagrams", "of all"):
        monkeypatch.setattr(repetition, "_BASE", 1)
    if collisions in ("of texts", "of all"):
        monkeypatch.setattr(repetition, "_SALT", 0)
    if collisions == "of all":
        monkeypatch.setattr(repetition, "_SPREAD", 0)
    rng = np.random.default_rng(n)
    for _ in range(20):
        sequences = [
            rng.integers(0, 3, rng.choice([0, 1, n - 1, n, n + 1, 30, 300])) for _ in range(rng.integers(0, 12))
        ]
        numbers = np.concatenate([*sequences, np.empty(0, np.int64)])
        text, count = repeated(numbers, np.array([len(sequence) for sequence in sequences], np.int64), n)
        assert (np.diff(text) >= 0).all()
        assert sorted(zip(text.tolist(), count.tolist(), strict=True)) == counted(sequences, n)
