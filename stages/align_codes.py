"""Stage `align-codes`: train an arm's resampler on its codes; run by `dvc repro align-codes@ARM`."""

from pathlib import Path

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.generation.masked.mixing import Mixing, mixed
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm import resampler_pretraining
from synthpairs.vlm.params import Resampler, Training, Vlm


@stage(metrics="reports/metrics/align/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "code_arms"))
def main(arm: str, align_codes: Training, vlm: Vlm, resampler: Resampler, mixing: Mixing) -> Result:
    """Write models/vlm/ARM/aligned."""
    pairs, counts = mixed(arm, mixing, Path("data"), resampler.tokenizer)
    return resampler_pretraining.align_codes(pairs, vlm, resampler, align_codes, MODELS / arm / "aligned") | counts


if __name__ == "__main__":
    run_stage(main, spread=True)
