"""N-grams that occur more than once in a text, for many texts at once, given as concatenated arrays of integers."""

from collections import Counter

import numpy as np

# Multipliers of the hash, odd and with high entropy: of a position, of a number, of a text.
_BASE, _SPREAD, _SALT = 0x9E3779B97F4A7C15, 0xFF51AFD7ED558CCD, 0xD6E8FEB86659FD93
_WRAP = 2**64


def repeated(numbers: np.ndarray, lengths: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Repeated n-grams of texts with these lengths, concatenated in `numbers`. Exact in spite of hashing.

    Returns for each n-gram that a text has more than once the index of the text (ascending) and the number of occurrences.

    All n-grams are sorted by hash, then position, and neighbours with the same hash are compared. Texts with a hash
    collision are counted directly.
    """
    if len(numbers) < n:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    positions, same = _sorted_by_hash(numbers, owner, n)
    one, other = positions[same], positions[same + 1]
    window = np.arange(n)
    differ = (numbers[one[:, None] + window] != numbers[other[:, None] + window]).any(axis=1)
    differ |= owner[one] != owner[other]
    starts = np.flatnonzero(np.diff(same, prepend=-2) != 1)  # of runs: 3 equal n-grams are 2 consecutive pairs
    texts, counts = owner[one[starts]], np.diff(starts, append=len(same)) + 1
    if differ.any():
        collided = np.unique(owner[np.concatenate([one[differ], other[differ]])])
        valid, ends = ~np.isin(texts, collided), np.cumsum(lengths)
        exact = [(text, _counted(numbers[ends[text] - lengths[text] : ends[text]], n)) for text in collided]
        texts = np.concatenate([texts[valid], *(np.full(len(values), text) for text, values in exact)])
        counts = np.concatenate([counts[valid], *(np.array(values, np.int64) for _, values in exact)])
    order = np.argsort(texts, kind="stable")
    return texts[order], counts[order]


def _sorted_by_hash(numbers: np.ndarray, owner: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Start of each n-gram, ordered by hash, and the indices among them of those with the same hash as the next."""
    # Spread first, because the last number would affect only the low bits of the hash.
    hashes = _window_hashes(numbers.astype(np.uint64) * np.uint64(_SPREAD), n)
    hashes += owner[: len(hashes)].view(np.uint64) * np.uint64(_SALT)  # separates equal n-grams of different texts
    starts = np.flatnonzero(owner[: len(hashes)] == owner[n - 1 :])
    # Sorting values is several times faster than argsort, so the low bits of each hash are replaced by the position.
    bits = np.uint64(len(hashes).bit_length())
    keys = (hashes[starts] >> bits << bits) | starts.view(np.uint64)
    keys.sort()
    positions = (keys & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
    return positions, np.flatnonzero((keys[1:] ^ keys[:-1]) >> bits == 0)


def _counted(numbers: np.ndarray, n: int) -> list[int]:
    """Counts of the repeated n-grams."""
    values = numbers.tolist()
    grams = Counter(tuple(values[start : start + n]) for start in range(len(values) - n + 1))
    return [count for count in grams.values() if count > 1]


def _window_hashes(numbers: np.ndarray, n: int) -> np.ndarray:
    """Polynomial hashes modulo 2^64 of all windows of n numbers: [len(numbers) - n + 1] of uint64.

    Windows of n are joined from those of 1, 2, 4 ..., in a logarithmic number of steps.
    """
    block, size = numbers, 1
    hashes, done = np.zeros(len(numbers) + 1, np.uint64), 0
    for bit in bin(n)[:1:-1]:
        if bit == "1":
            hashes, done = _joined(hashes, block, done, size), done + size
        if done < n:
            block, size = _joined(block, block, size, size), 2 * size
    return hashes


def _joined(left: np.ndarray, right: np.ndarray, shift: int, size: int) -> np.ndarray:
    """Hashes of windows of shift + size numbers, from those of `shift` numbers and those of the `size` after them."""
    count = len(right) - shift
    return left[:count] * np.uint64(pow(_BASE, size, _WRAP)) + right[shift:]
