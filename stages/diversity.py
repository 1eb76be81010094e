"""Stage `diversity`: how evenly each caption set spreads over clusters of meaning; run by `dvc repro diversity`."""

import time
from pathlib import Path

from synthpairs.diversity.clusters import analyse
from synthpairs.diversity.encoder import load
from synthpairs.diversity.figure import shares_figure
from synthpairs.diversity.page import headline
from synthpairs.diversity.params import Diversity
from synthpairs.diversity.sets import read_sets
from synthpairs.params import load_params
from synthpairs.storage import write_bytes, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("reports")


def main() -> None:
    """Write reports/diversity.json and the picture beside it."""
    params = load_params(Diversity, "diversity")
    with stage_run("diversity", params) as run:
        started = time.monotonic()
        sets = read_sets(params.sets, Path("data"))
        encoder = load(params.encoder, params.batch)
        results = analyse(sets, params, encoder.embed) | {"encoder": encoder.inputs}
        metrics = headline(results)
        write_json(OUT / "diversity.json", results)
        write_bytes(OUT / "diversity.png", shares_figure(results))
        write_json(OUT / "metrics/diversity.json", metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
