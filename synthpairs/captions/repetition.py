"""Which n-grams occur more than once in a text, for many texts at once, laid end to end as numbers."""

from collections import Counter
from typing import NamedTuple

import numpy as np

# Odd, with bits all over, as multipliers of hashes should be: of a number's place, of the number, of its text.
_BASE, _SPREAD, _SALT = 0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD, 0xD6E8FEB86659FD93
_WRAP = 2**64


class Repeated(NamedTuple):
    """One row for each n-gram that a text has more than once, those of one text side by side in no certain order."""

    texts: np.ndarray  # [row] place of the text, ascending
    times: np.ndarray  # [row] times that it occurs there, 2 or more


def repeated(numbers: np.ndarray, lengths: np.ndarray, n: int) -> Repeated:
    """Repeated n-grams of texts with these lengths, whose numbers stand end to end: exact, though found by hashes.

    All n-grams are sorted by hash and then place, so equal ones of a text stand side by side. Each pair of neighbours with
    one hash is compared; a text in which two of them differ is counted without hashes.
    """
    if len(numbers) < n:
        return Repeated(np.empty(0, np.int64), np.empty(0, np.int64))
    owner = np.repeat(np.arange(len(lengths)), lengths)
    places, same = _sorted_by_hash(numbers, owner, n)
    one, other = places[same], places[same + 1]
    window = np.arange(n)
    differ = (numbers[one[:, None] + window] != numbers[other[:, None] + window]).any(axis=1)
    differ |= owner[one] != owner[other]
    begins = np.flatnonzero(
        np.diff(same, prepend=-2) != 1
    )  # of runs: 3 equal n-grams make 2 pairs, one after the other
    texts, times = owner[one[begins]], np.diff(begins, append=len(same)) + 1
    if differ.any():
        unsure = np.unique(owner[np.concatenate([one[differ], other[differ]])])
        sure, ends = ~np.isin(texts, unsure), np.cumsum(lengths)
        exact = [(text, _counted(numbers[ends[text] - lengths[text] : ends[text]], n)) for text in unsure]
        texts = np.concatenate([texts[sure], *(np.full(len(counts), text) for text, counts in exact)])
        times = np.concatenate([times[sure], *(np.array(counts, np.int64) for _, counts in exact)])
    order = np.argsort(texts, kind="stable")
    return Repeated(texts[order], times[order])


def _sorted_by_hash(numbers: np.ndarray, owner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each n-gram within one text starts, in the order of hashes, and which of them have the hash of the next."""
    # The last number alone would only be found in a hash's low bits, so all are spread before.
    hashes = _window_hashes(numbers.astype(np.uint64) * np.uint64(_SPREAD), n)
    hashes += owner[: len(hashes)].view(np.uint64) * np.uint64(_SALT)  # keeps apart what several texts have once each
    starts = np.flatnonzero(owner[: len(hashes)] == owner[n - 1 :])
    # Sorting values is several times as fast as finding their order, so each hash gives its low bits to the place.
    bits = np.uint64(len(hashes).bit_length())
    keys = (hashes[starts] >> bits << bits) | starts.view(np.uint64)
    keys.sort()
    places = (keys & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
    return places, np.flatnonzero((keys[1:] ^ keys[:-1]) >> bits == 0)


def _counted(numbers: np.ndarray, n: int) -> list[int]:
    """How often each n-gram that occurs more than once does, by counting all."""
    values = numbers.tolist()
    grams = Counter(tuple(values[start : start + n]) for start in range(len(values) - n + 1))
    return [times for times in grams.values() if times > 1]


def _window_hashes(numbers: np.ndarray, n: int) -> np.ndarray:
    """Hash of each n numbers in a row, polynomials modulo 2^64: [len(numbers) - n + 1] of uint64.

    Windows of n are joined from those of 1, 2, 4 ..., so that ten numbers take four steps.
    """
    block, size = numbers, 1
    found, done = np.zeros(len(numbers) + 1, np.uint64), 0
    for bit in bin(n)[:1:-1]:
        if bit == "1":
            found, done = _joined(found, block, done, size), done + size
        if done < n:
            block, size = _joined(block, block, size, size), 2 * size
    return found


def _joined(left: np.ndarray, right: np.ndarray, shift: int, size: int) -> np.ndarray:
    """Hashes of windows of shift + size numbers, from those of `shift` numbers and those of the `size` after them."""
    count = len(right) - shift
    return left[:count] * np.uint64(pow(_BASE, size, _WRAP)) + right[shift:]
