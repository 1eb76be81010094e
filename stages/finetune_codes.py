"""Stage `finetune-codes`: instruction-tune an arm of the Synth2 route; run by `dvc repro finetune-codes@ARM`."""

import sys
import time
from pathlib import Path

from synthpairs.arms import MODELS, chosen_arm
from synthpairs.launch import leads
from synthpairs.params import load_params
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Finetune, finetune
from synthpairs.vlm.model import Resampler, Vlm


def main() -> None:
    """Write models/vlm/ARM/finetuned and its metrics."""
    arm = chosen_arm(sys.argv[1:], "code_arms")
    vlm, resampler = load_params(Vlm, "vlm"), load_params(Resampler, "resampler")
    params = load_params(Finetune, "finetune_codes")
    with stage_run(f"finetune-codes@{arm}", params) as run:
        started = time.monotonic()
        desk = params.instructions is None
        rows = read_table(Path("data/tasks/instructions.parquet"), "dvc repro tasks") if desk else None
        metrics = finetune(rows, MODELS / arm / "aligned", vlm, params, MODELS / arm / "finetuned", resampler)
        if leads():
            write_json(Path(f"reports/metrics/finetune/{arm}.json"), metrics)
            run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main, spread=True)
