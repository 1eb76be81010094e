"""Perceptual hashes of images, and exact search for pairs that differ in a few bits.

The hash is the DCT pHash (Zauner 2010) as the `imagehash` library computes it: which of the 8 x 8 lowest frequencies of
the grey image at 32 x 32 pixels lie above their median. It depends on shapes and positions, not on colours.

The search cuts the 64 bits into d + 1 bands: d differing bits touch at most d of them, so one band is equal
(pigeonhole), and only hashes that share a band are compared. For n random hashes a band of b bits gives about n^2 /
2^(b+1) comparisons: at n = 1,000,000 and d = 3, 7.6 million for each of four bands, against 500,000 million pairs.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BITS = 64
SIDE, KEPT = 32, 8  # pixels of the small image; lowest frequencies in either direction
_CHUNK = 2**22  # comparisons at once in `nearest`: 32 MiB


def perceptual_hashes(images: Sequence[Image.Image]) -> np.ndarray:
    """The hashes [n] (uint64) of images of any size and mode."""
    if not images:
        return np.empty(0, np.uint64)
    small = [image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS) for image in images]
    pixels = np.stack([np.asarray(image, dtype=np.float64) for image in small])
    lowest = dct(dct(pixels, axis=1), axis=2)[:, :KEPT, :KEPT].reshape(len(pixels), BITS)
    above = lowest > np.median(lowest, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8")[:, 0].astype(np.uint64)


def near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """All pairs of indexes [m, 2], sorted, the smaller first, whose hashes differ in at most `distance` bits.

    Memory is linear in hashes and pairs. Time grows with hashes that share a band; remove equal hashes first.
    """
    count = len(hashes)
    parts = [np.empty((0, 2), np.int64)]
    for low, high in pairwise(np.linspace(0, BITS, distance + 2).astype(int).tolist()):
        band = (hashes >> np.uint64(low)) & np.uint64(2 ** (high - low) - 1)
        order = np.argsort(band, kind="stable")
        band, ordered = band[order], hashes[order]
        first, step = np.arange(count), 1
        while len(first := first[: np.searchsorted(first, count - step)]):
            first = first[band[first] == band[first + step]]  # a band that ends before one step ends before the next
            near = first[np.bitwise_count(ordered[first] ^ ordered[first + step]) <= distance]
            parts.append(np.stack([order[near], order[near + step]], axis=1))
            step += 1
    pairs = np.sort(np.concatenate(parts), axis=1)
    unique = np.unique(pairs[:, 0] * count + pairs[:, 1])  # a pair that shares two bands is there twice
    return np.stack([unique // max(count, 1), unique % max(count, 1)], axis=1)


def near_groups(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Group number [n] of each hash: the connected components of near pairs."""
    different, inverse = np.unique(hashes, return_inverse=True)
    pairs = near_pairs(different, distance)
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(different),) * 2)
    return connected_components(links, directed=False)[1][inverse]


def nearest(hashes: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least Hamming distance [n] of each hash to `others` (not empty), and the first index [n] that has it.

    Brute force: half a minute for a million hashes and 10,000 others.
    """
    distances, indexes = np.empty(len(hashes), np.int64), np.empty(len(hashes), np.int64)
    size = max(1, _CHUNK // len(others))
    for start in range(0, len(hashes), size):
        bits = np.bitwise_count(hashes[start : start + size, None] ^ others[None])
        indexes[start : start + size] = bits.argmin(axis=1)
        distances[start : start + size] = bits.min(axis=1)
    return distances, indexes
