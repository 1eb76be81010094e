"""Stage `pretrain_tokens`: train the resampler on the VQ tokens of an arm; run by `dvc repro pretrain_tokens@ARM`."""

from pathlib import Path

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.mixing import Mixing, token_training_set
from synthpairs.vlm import resampler_pretraining
from synthpairs.vlm.params import Resampler, Training, Vlm


@stage(metrics="reports/metrics/pretrain/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "token_arms"))
def main(arm: str, pretrain_tokens: Training, vlm: Vlm, resampler: Resampler, mixing: Mixing) -> Result:
    """Write models/vlm/ARM/pretrained."""
    pairs, counts = token_training_set(arm, mixing, Path("data"), resampler.tokenizer)
    return (
        resampler_pretraining.pretrain_tokens(pairs, vlm, resampler, pretrain_tokens, MODELS / arm / "pretrained")
        | counts
    )


if __name__ == "__main__":
    run_stage(main, spread=True)
