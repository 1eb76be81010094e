"""Stage `pairs`: the real training pairs of the embeddings route, as tokens; run by `dvc repro pairs`."""

from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.realpairs.make import make_pairs
from synthpairs.realpairs.params import Pairs
from synthpairs.storage import read_table
from synthpairs.tracking import Result, run_stage, stage


@stage(metrics="reports/metrics/pairs.json")
def main(pairs: Pairs, world: World) -> Result:
    """Write data/pairs."""
    drawings = read_table(Path("data/art/drawings.parquet"), "dvc repro art")
    return make_pairs(drawings, world.concepts, pairs, Path("data/pairs"))


if __name__ == "__main__":
    run_stage(main)
