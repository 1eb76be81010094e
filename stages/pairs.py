"""Stage `pairs`: the real training pairs of the embeddings route, as tokens; run by `dvc repro pairs`."""

import time
from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.params import load_params
from synthpairs.realpairs.make import make_pairs
from synthpairs.realpairs.params import Pairs
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/pairs from data/art and the tokenizer."""
    params, world = load_params(Pairs, "pairs"), load_params(World, "world")
    with stage_run("pairs", params) as run:
        started = time.monotonic()
        drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
        metrics = make_pairs(drawings, world.concepts, params, Path("data/pairs"))
        write_json(Path("reports/metrics/pairs.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
