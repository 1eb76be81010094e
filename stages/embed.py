"""Stage `embed`: fill token grids for every screened caption into shards; run by `dvc repro embed`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.generation.masked.make import make_embeddings
from synthpairs.generation.masked.params import Embed
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/embed.json")
def main(embed: Embed) -> Result:
    """Write data/embedded."""
    captions = read_table(Path("data/screened/kept.parquet"), "dvc repro screen")
    return make_embeddings(captions, embed, Path("data/embedded"))


if __name__ == "__main__":
    run_stage(main)
