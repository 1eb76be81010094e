"""Stage `align`: train an arm's projector on its pairs; run by `dvc repro align` (`python -m stages.align ARM`)."""

import sys
import time
from pathlib import Path

from synthpairs.arms import MODELS, chosen_arm
from synthpairs.launch import leads
from synthpairs.pairs import load_pairs
from synthpairs.params import load_params
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Align, align
from synthpairs.vlm.model import Vlm


def main() -> None:
    """Write models/vlm/ARM/aligned and its metrics."""
    arm = chosen_arm(sys.argv[1:], "arms")
    vlm, params = load_params(Vlm, "vlm"), load_params(Align, "align")
    with stage_run(f"align@{arm}", params) as run:
        started = time.monotonic()
        metrics = align(load_pairs(arm), vlm, params, MODELS / arm / "aligned")
        if leads():
            write_json(Path(f"reports/metrics/align/{arm}.json"), metrics)
            run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main, spread=True)
