"""Stage `pretrain`: train an arm's projector on its pairs; run by `dvc repro pretrain` (`python -m stages.pretrain ARM`)."""

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.training_pairs import load_training_pairs
from synthpairs.vlm import pretraining
from synthpairs.vlm.params import Pretrain, Vlm


@stage(metrics="reports/metrics/pretrain/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "arms"))
def main(arm: str, pretrain: Pretrain, vlm: Vlm) -> Result:
    """Write models/vlm/ARM/pretrained."""
    return pretraining.pretrain(load_training_pairs(arm), vlm, pretrain, MODELS / arm / "pretrained")


if __name__ == "__main__":
    run_stage(main, spread=True)
