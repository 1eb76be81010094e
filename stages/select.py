"""Stage `select`: rank the candidates, take the best, write data set and arms; run by `dvc repro select`."""

import time
from pathlib import Path

from synthpairs.arms import Arm
from synthpairs.params import load_params
from synthpairs.selection.make import make_selection
from synthpairs.selection.params import Select
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/selected."""
    params, arms = load_params(Select, "select"), load_params(list[Arm], "arms")
    with stage_run("select", params) as run:
        started = time.monotonic()
        metrics = make_selection(params, arms, Path("data"), Path("data/selected"))
        write_json(Path("reports/metrics/select.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
