"""Stage `untrained`: the model before any training, the benchmarks' baseline; run by `dvc repro untrained`."""

import time
from pathlib import Path

from synthpairs.arms import MODELS, UNTRAINED
from synthpairs.params import load_params
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import untrained
from synthpairs.vlm.model import Vlm


def main() -> None:
    """Write models/vlm/untrained, the model that `align` starts from, and its sizes as metrics."""
    vlm = load_params(Vlm, "vlm")
    with stage_run("untrained", vlm) as run:
        started = time.monotonic()
        metrics = untrained(vlm, MODELS / UNTRAINED)
        write_json(Path("reports/metrics/untrained.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
