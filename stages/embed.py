"""Stage `embed`: fill token grids for every screened caption into shards; run by `dvc repro embed`."""

import time
from pathlib import Path

from synthpairs.embeddings.make import make_embeddings
from synthpairs.embeddings.params import Embed
from synthpairs.params import load_params
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/embedded from data/screened/kept.parquet."""
    params = load_params(Embed, "embed")
    with stage_run("embed", params) as run:
        started = time.monotonic()
        captions = read_table(Path("data/screened/kept.parquet"), "dvc repro screen")
        metrics, volatile = make_embeddings(captions, params, Path("data/embedded"))
        write_json(Path("reports/metrics/embed.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
