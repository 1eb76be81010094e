"""Stage `finetune`: instruction-tune an arm's model; run by `dvc repro finetune` (`python -m stages.finetune ARM`)."""

from pathlib import Path

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.core.storage import read_table
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm import finetuning
from synthpairs.vlm.params import Finetune, Vlm


@stage(metrics="reports/metrics/finetune/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "arms"))
def main(arm: str, finetune: Finetune, vlm: Vlm) -> Result:
    """Write models/vlm/ARM/finetuned."""
    desk = finetune.instructions is None
    rows = read_table(Path("data/tasks/instructions.parquet"), "dvc repro tasks") if desk else None
    return finetuning.finetune(rows, MODELS / arm / "pretrained", vlm, finetune, MODELS / arm / "finetuned")


if __name__ == "__main__":
    run_stage(main, spread=True)
