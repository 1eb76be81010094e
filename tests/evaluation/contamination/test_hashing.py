from itertools import combinations

import imagehash
import numpy as np
import pytest
from PIL import Image

from synthpairs.evaluation.contamination.hashing import near_groups, near_pairs, nearest, perceptual_hashes
from tests.scoring.conftest import photo


def random_hashes(count, flips, seed):
    """Random hashes of which half have a copy with up to `flips` bits flipped, and some an equal one."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    bits = rng.integers(0, 64, (count // 2, flips)).astype(np.uint64)
    near = hashes[: count // 2] ^ np.bitwise_or.reduce(np.uint64(1) << bits, axis=1)
    return rng.permutation(np.concatenate([hashes, near, hashes[:5]]))


def test_hashes_are_those_of_imagehash():
    pictures = [photo(side, side) for side in (8, 32, 33, 64, 200)]
    pictures += [photo(48, 1).convert("L"), photo(48, 2).resize((90, 31)), photo(48, 3).convert("RGBA")]
    pictures.append(Image.new("RGB", (64, 64), "red"))
    assert [f"{value:016x}" for value in perceptual_hashes(pictures)] == [
        str(imagehash.phash(picture)) for picture in pictures
    ]
    assert perceptual_hashes([]).shape == (0,)


@pytest.mark.parametrize("distance", [0, 1, 3, 6, 7])
def test_near_pairs_are_exactly_those_of_comparing_all_with_all(distance):
    hashes = random_hashes(300, distance + 1, distance)
    expected = [
        [one, other]
        for one, other in combinations(range(len(hashes)), 2)
        if int(hashes[one] ^ hashes[other]).bit_count() <= distance
    ]
    assert len(expected) >= 5
    assert near_pairs(hashes, distance).tolist() == expected
    for spared in range(4):  # the worst case of the pigeonhole: three of four bands differ, each in one bit
        other = sum(1 << (16 * band + 7) for band in range(4) if band != spared)
        assert near_pairs(np.array([0, other], np.uint64), distance).tolist() == [[0, 1]] * (distance >= 3)
    for count in (0, 1):
        assert near_pairs(np.zeros(count, np.uint64), distance).shape == (0, 2)
        assert near_groups(np.zeros(count, np.uint64), distance).shape == (count,)


def test_groups_are_chains_of_near_pairs():
    hashes = np.array([0b000, 0b001, 0b011, 2**40, 0b000, 3 << 61], np.uint64)
    groups = near_groups(hashes, 1)
    assert groups[0] == groups[1] == groups[2] == groups[4]
    assert len({groups[0], groups[3], groups[5]}) == 2, "2**40 is one bit from 0, the last one two"
    hashes = random_hashes(200, 2, 9)
    groups = near_groups(hashes, 2)
    for one, other in near_pairs(hashes, 2):
        assert groups[one] == groups[other]
    alone = set(range(len(hashes))) - set(near_pairs(hashes, 2).ravel().tolist())
    assert all((groups == groups[index]).sum() == 1 for index in alone)


def test_nearest_is_the_first_of_the_closest(monkeypatch):
    monkeypatch.setattr("synthpairs.evaluation.contamination.hashing._CHUNK", 64)
    rng = np.random.default_rng(0)
    hashes, others = (rng.integers(0, 2**64, count, dtype=np.uint64) for count in (50, 20))
    for value, *result in zip(hashes, *nearest(hashes, np.concatenate([others, others])), strict=True):
        distances = [int(value ^ other).bit_count() for other in others]
        assert result == [min(distances), distances.index(min(distances))]
