"""Stage `finetune_tokens`: instruction-tune an arm of the Synth2 route; run by `dvc repro finetune_tokens@ARM`."""

from pathlib import Path

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.core.storage import read_table
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm import finetuning
from synthpairs.vlm.params import Finetune, Resampler, Vlm


@stage(metrics="reports/metrics/finetune/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "token_arms"))
def main(arm: str, finetune_tokens: Finetune, vlm: Vlm, resampler: Resampler) -> Result:
    """Write models/vlm/ARM/finetuned."""
    desk = finetune_tokens.instructions is None
    rows = read_table(Path("data/tasks/instructions.parquet"), "dvc repro tasks") if desk else None
    return finetuning.finetune(
        rows, MODELS / arm / "pretrained", vlm, finetune_tokens, MODELS / arm / "finetuned", resampler
    )


if __name__ == "__main__":
    run_stage(main, spread=True)
