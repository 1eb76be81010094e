"""All near duplicates among a million hashes, and the nearest of some others: `python -m perf.duplicates`, see perf/README.md."""

import argparse
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from synthpairs.evaluation.contamination.hashing import near_groups, nearest

DISTANCE = 3  # bits, as in params.yaml
COPIED = 0.1  # share of the hashes that have a near copy
OTHERS = 1000


def hashes(rows: int) -> np.ndarray:
    """Random hashes, some of them copies of others with up to DISTANCE bits turned over."""
    rng = np.random.default_rng(0)
    copies = int(COPIED * rows)
    first = rng.integers(0, 2**64, rows - copies, dtype=np.uint64)
    turned = np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, (copies, DISTANCE)).astype(np.uint64), axis=1)
    return rng.permutation(np.concatenate([first, first[:copies] ^ turned]))


def timed(name: str, step: Callable[[], np.ndarray]) -> np.ndarray:
    """What the step returns; its seconds are printed."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = step()
    print(f"{name}: {time.process_time() - cpu:.2f} CPU s, {time.perf_counter() - wall:.2f} s", flush=True)
    return result


def main() -> None:
    """Group them, and say how many groups hold more than one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.duplicates")
    parser.add_argument("--rows", type=int, default=1_000_000, help="hashes (default: 1000000)")
    rows = parser.parse_args().rows
    if rows < 10:
        raise ValueError(f"--rows must be at least 10, got {rows}")
    made = hashes(rows)
    groups = timed(f"groups of {rows:,} hashes", lambda: near_groups(made, DISTANCE))
    print(f"{(np.bincount(groups) > 1).sum():,} groups of near duplicates; {int(COPIED * rows):,} copies were made")
    timed(f"nearest of {OTHERS:,} others", lambda: nearest(made, made[:OTHERS])[0])
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss counts bytes there, KiB elsewhere
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.0f} MiB")


if __name__ == "__main__":
    main()
