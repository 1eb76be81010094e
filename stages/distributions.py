"""Stage `distributions`: synthetic beside real pairs, and what rankings prefer; run by `dvc repro distributions`."""

import time
from pathlib import Path

from synthpairs.distributions.figure import distributions_figure
from synthpairs.distributions.make import make_distributions
from synthpairs.distributions.page import headline
from synthpairs.distributions.params import Distributions
from synthpairs.params import load_params
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("reports")


def main() -> None:
    """Write data/distributions, reports/distributions.json and the picture beside it."""
    params, scores = load_params(Distributions, "distributions"), load_params(Scores, "scores")
    select = load_params(Select, "select")
    with stage_run("distributions", params) as run:
        started = time.monotonic()
        results, drawn, volatile = make_distributions(params, scores, select, Path("data"), Path("data/distributions"))
        metrics = headline(results)
        write_json(OUT / "distributions.json", results)
        write_bytes(OUT / "distributions.png", distributions_figure(drawn))
        write_json(OUT / "metrics/distributions.json", metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
