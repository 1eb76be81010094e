"""Stage `finetune`: instruction-tune an arm's model; run by `dvc repro finetune` (`python -m stages.finetune ARM`)."""

import sys
import time
from pathlib import Path

from synthpairs.arms import MODELS, chosen_arm
from synthpairs.launch import leads
from synthpairs.params import load_params
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Finetune, finetune
from synthpairs.vlm.model import Vlm


def main() -> None:
    """Write models/vlm/ARM/finetuned and its metrics."""
    arm = chosen_arm(sys.argv[1:], "arms")
    vlm, params = load_params(Vlm, "vlm"), load_params(Finetune, "finetune")
    with stage_run(f"finetune@{arm}", params) as run:
        started = time.monotonic()
        desk = params.instructions is None
        rows = read_table(Path("data/tasks/instructions.parquet"), "dvc repro tasks") if desk else None
        metrics = finetune(rows, MODELS / arm / "aligned", vlm, params, MODELS / arm / "finetuned")
        if leads():
            write_json(Path(f"reports/metrics/finetune/{arm}.json"), metrics)
            run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main, spread=True)
