"""Time and memory of ranking a million candidates, by step: `python -m perf.selection`, see perf/README.md."""

import argparse
import dataclasses
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from perf.paired import at_least, peak_mib, timed
from synthpairs.core.config import load_params
from synthpairs.core.schema import CANDIDATES, SCORES
from synthpairs.core.storage import read_table, write_table
from synthpairs.selection.arms import make_training_pairs
from synthpairs.selection.candidate_tables import with_scores
from synthpairs.selection.params import Select
from synthpairs.selection.ranking import rank_candidates

SELECTED_SHARE = 0.1  # as in the paper
SHARD = 256  # samples


def tables(rows: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A manifest of `rows` candidates, two per caption, and their scores, by the schema."""
    rng = np.random.default_rng(0)
    uids = np.array([rng.bytes(12).hex() for _ in range(-(-rows // 2))])
    manifest = pd.DataFrame({"key": sorted(rng.bytes(12).hex() for _ in range(rows))})
    manifest["uid"] = uids[rng.permutation(rows) // 2]
    manifest["text"] = "a small green car to the left of a traffic light, " + manifest["uid"]
    manifest["shard"] = [f"shard-{index // SHARD:024x}.tar" for index in range(rows)]
    manifest["sha256"] = [rng.bytes(32).hex() for _ in range(rows)]
    manifest = manifest.assign(concept="car", number=0, seed=0, generator="0" * 24, tokens=16)
    values = {"clip_cosine": rng.normal(0.28, 0.03, rows).round(6), "ssim": rng.uniform(0.5, 1, rows).round(6)}
    return manifest, manifest[["key", "uid", "concept"]].assign(**values, clip_tokens=16)


def measure(folder: Path) -> None:
    """Print CPU and wall seconds of each step on the folder's tables, and the peak memory of this process."""
    manifest, scores = timed(
        "read", lambda: tuple(read_table(folder / f"{name}.parquet", "perf.selection") for name in ("images", "scores"))
    )
    candidates = timed("join", lambda: with_scores(manifest, scores))
    params = dataclasses.replace(load_params(Select, "select"), num_pairs=max(1, int(SELECTED_SHARE * len(candidates))))
    pool, _ = timed("rank", lambda: rank_candidates(candidates, params))
    selected = pool.head(params.num_pairs)
    for arm in ("selected", "random"):
        timed(f"arm {arm}", lambda arm=arm: make_training_pairs(arm, selected, candidates, pool, pool, params))  # type: ignore[misc]
    print(f"all: {time.process_time():.2f} CPU s, imports included")
    print(f"peak memory: {peak_mib():.0f} MiB")


def main() -> None:
    """Write the tables, then measure in a new process, so that the peak memory is that of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0], prog="python -m perf.selection")
    parser.add_argument("--rows", type=int, default=1_000_000, help="candidates (default: 1000000)")
    parser.add_argument("--tables", type=Path, default=None, help="measure on the tables in this folder")
    options = parser.parse_args()
    if options.tables is not None:
        measure(options.tables)
        return
    at_least(2, rows=options.rows)
    with tempfile.TemporaryDirectory() as folder:
        manifest, scores = tables(options.rows)
        write_table(Path(folder) / "images.parquet", manifest, CANDIDATES)
        write_table(Path(folder) / "scores.parquet", scores, SCORES)
        print(f"{options.rows:,} candidates", flush=True)
        subprocess.run([sys.executable, "-m", "perf.selection", "--tables", folder], check=True)


if __name__ == "__main__":
    main()
