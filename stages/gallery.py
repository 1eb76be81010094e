"""Stage `gallery`: the pairs with their pictures and scores as a page to look at; run by `dvc repro gallery`."""

import time
from pathlib import Path

from synthpairs.arms import Arm
from synthpairs.gallery.make import make_gallery
from synthpairs.gallery.params import Gallery
from synthpairs.params import load_params
from synthpairs.selection.params import Select
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make reports/gallery."""
    params, select = load_params(Gallery, "gallery"), load_params(Select, "select")
    arms = load_params(list[Arm], "arms")
    with stage_run("gallery", params) as run:
        started = time.monotonic()
        metrics = make_gallery(params, select, arms, Path("data"), Path("reports/gallery"))
        write_json(Path("reports/metrics/gallery.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
