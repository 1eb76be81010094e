"""Stage `pairs`: the real training pairs of the embeddings route, as tokens; run by `dvc repro pairs`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.emoji.world import World
from synthpairs.generation.vq_pairs.make import make_pairs
from synthpairs.generation.vq_pairs.params import Pairs
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/pairs.json")
def main(pairs: Pairs, world: World) -> Result:
    """Write data/pairs."""
    drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
    return make_pairs(drawings, world.concepts, pairs, Path("data/pairs"))


if __name__ == "__main__":
    run_stage(main)
