"""Near duplicates among a million hashes, and nearest neighbours of others: `python -m perf.duplicates`, see perf/README.md."""

import argparse

import numpy as np

from perf.paired import at_least, peak_mib, timed
from synthpairs.evaluation.contamination.hashing import near_groups, nearest

DISTANCE = 3  # bits, as in params.yaml
COPIED = 0.1  # share of the hashes that have a near copy
QUERIES = 1000


def hashes(rows: int) -> np.ndarray:
    """Random hashes, COPIED of them copies of others with up to DISTANCE bits flipped."""
    rng = np.random.default_rng(0)
    copies = int(COPIED * rows)
    first = rng.integers(0, 2**64, rows - copies, dtype=np.uint64)
    flips = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (copies, DISTANCE)).astype(np.uint64), axis=1)
    return rng.permutation(np.concatenate([first, first[:copies] ^ flips]))


def main() -> None:
    """Group the hashes, print the number of groups with duplicates, and time nearest neighbours."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.duplicates")
    parser.add_argument("--rows", type=int, default=1_000_000, help="hashes (default: 1000000)")
    rows = parser.parse_args().rows
    at_least(10, rows=rows)
    values = hashes(rows)
    groups = timed(f"groups of {rows:,} hashes", lambda: near_groups(values, DISTANCE))
    print(f"{(np.bincount(groups) > 1).sum():,} groups of near duplicates; {int(COPIED * rows):,} copies")
    timed(f"nearest of {QUERIES:,} others", lambda: nearest(values, values[:QUERIES])[0])
    print(f"peak memory: {peak_mib():.0f} MiB")


if __name__ == "__main__":
    main()
