"""Perceptual hashes of pictures, and all pairs of them that differ in a few bits, found without comparing all with all.

The hash is the DCT pHash (Zauner 2010) as the `imagehash` library computes it: which of the 8 x 8 lowest frequencies of the
grey picture at 32 x 32 pixels lie above their median. It sees shapes and their places, not colours.

Pairs within d bits are found exactly: cut the 64 bits into d + 1 bands; d differing bits can touch at most d of them, so at
least one band is equal (pigeonhole). Sorting by each band in turn brings such hashes together, and only hashes that share a
band are compared. Of n random hashes a band of b bits gives about n^2 / 2^(b+1) comparisons: 7.6 million for each of four
bands at n = 1,000,000 and d = 3, where all pairs would be 500,000 million.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BITS = 64
SIDE, KEPT = 32, 8  # pixels of the small picture; lowest frequencies in either direction
_CHUNK = 2**22  # comparisons at once in `nearest`: 32 MiB


def perceptual_hashes(pictures: Sequence[Image.Image]) -> np.ndarray:
    """The hashes [n] (uint64) of pictures of any size and mode."""
    if not pictures:
        return np.empty(0, np.uint64)
    small = [picture.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS) for picture in pictures]
    pixels = np.stack([np.asarray(picture, dtype=np.float64) for picture in small])
    lowest = dct(dct(pixels, axis=1), axis=2)[:, :KEPT, :KEPT].reshape(len(pixels), BITS)
    above = lowest > np.median(lowest, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8")[:, 0].astype(np.uint64)


def near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """All pairs of indexes [m, 2], the smaller first, in order, whose hashes differ in at most `distance` bits.

    Memory grows with hashes and pairs found. Time grows with how many hashes share a band: equal hashes should be there once.
    """
    count = len(hashes)
    pieces = [np.empty((0, 2), np.int64)]
    for low, high in pairwise(np.linspace(0, BITS, distance + 2).astype(int).tolist()):
        band = (hashes >> np.uint64(low)) & np.uint64(2 ** (high - low) - 1)
        order = np.argsort(band, kind="stable")
        band, ordered = band[order], hashes[order]
        first, step = np.arange(count), 1
        while len(first := first[: np.searchsorted(first, count - step)]):
            first = first[band[first] == band[first + step]]  # a band that ends before one step ends before the next
            near = first[np.bitwise_count(ordered[first] ^ ordered[first + step]) <= distance]
            pieces.append(np.stack([order[near], order[near + step]], axis=1))
            step += 1
    pairs = np.sort(np.concatenate(pieces), axis=1)
    codes = np.unique(pairs[:, 0] * count + pairs[:, 1])  # a pair that shares two bands was found twice
    return np.stack([codes // max(count, 1), codes % max(count, 1)], axis=1)


def near_groups(hashes: np.ndarray, distance: int) -> np.ndarray:
    """A number [n] for each hash, the same for all that a chain of near pairs connects."""
    different, inverse = np.unique(hashes, return_inverse=True)
    pairs = near_pairs(different, distance)
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(different),) * 2)
    return connected_components(links, directed=False)[1][inverse]


def nearest(hashes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each hash [n] the fewest bits in which one of `others` (at least one) differs, and the first index of such a one.

    All are compared: half a minute for a million hashes and 10,000 others.
    """
    distances, indexes = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    size = max(1, _CHUNK // len(others))
    for start in range(0, len(hashes), size):
        bits = np.bitwise_count(hashes[start : start + size, None] ^ others[None])
        indexes[start : start + size] = bits.argmin(axis=1)
        distances[start : start + size] = bits.min(axis=1)
    return distances, indexes
