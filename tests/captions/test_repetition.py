"""Repeated n-grams equal direct counting, also with hash collisions."""

from collections import Counter

import numpy as np
import pytest

from synthpairs.captions import repetition
from synthpairs.captions.repetition import repeated


def counted(sequences, n):
    repeats = []
    for number, values in enumerate(sequences):
        grams = Counter(tuple(values[start : start + n].tolist()) for start in range(len(values) - n + 1))
        repeats += [(number, count) for count in grams.values() if count > 1]
    return sorted(repeats)


@pytest.mark.parametrize("weakened", [{}, {"_BASE": 1}, {"_SALT": 0}, {"_BASE": 1, "_SALT": 0, "_SPREAD": 0}])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
def test_repeated_n_grams_equal_direct_counting_in_spite_of_collisions(n, weakened, monkeypatch):
    for name, value in weakened.items():
        monkeypatch.setattr(repetition, name, value)
    rng = np.random.default_rng(n)
    for _ in range(20):
        lengths = rng.choice([0, 1, n - 1, n, n + 1, 30, 300], rng.integers(0, 12))
        sequences = [rng.integers(0, 3, length) for length in lengths]
        numbers = np.concatenate([*sequences, np.empty(0, np.int64)])
        text, count = repeated(numbers, lengths.astype(np.int64), n)
        assert (np.diff(text) >= 0).all()
        assert sorted(zip(text.tolist(), count.tolist(), strict=True)) == counted(sequences, n)
