"""Stage `repaints`: the main run's captions painted again and measured; run by `dvc repro repaints/dvc.yaml`."""

import time
from pathlib import Path

from synthpairs.distributions.params import Distributions
from synthpairs.images.params import Images
from synthpairs.params import load_params
from synthpairs.repaints.measure import Setting, measure_paintings
from synthpairs.repaints.page import repaints_page
from synthpairs.repaints.params import Repaints
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes, write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("data/repaints")


def main() -> None:
    """Write data/repaints: numbers and the page about them; `make repaints` puts them into reports/."""
    setting = Setting(
        repaints=load_params(Repaints, "repaints"),
        data=Path("data"),
        images=load_params(Images, "images"),
        scores=load_params(Scores, "scores"),
        select=load_params(Select, "select"),
        distributions=load_params(Distributions, "distributions"),
    )
    with stage_run("repaints", setting) as run:
        started = time.monotonic()
        results = measure_paintings(setting)
        write_json(OUT / "repaints.json", {"paintings": results})
        write_bytes(OUT / "README.md", repaints_page(results).encode())
        run.log({}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
