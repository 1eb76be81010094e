"""Stage `align`: train an arm's projector on its pairs; run by `dvc repro align` (`python -m stages.align ARM`)."""

from synthpairs.core.arms import MODELS, chosen_arm
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.pairs import load_pairs
from synthpairs.vlm import llava
from synthpairs.vlm.params import Vlm


@stage(metrics="reports/metrics/align/{arm}.json", arm=lambda arguments: chosen_arm(arguments, "arms"))
def main(arm: str, align: llava.Align, vlm: Vlm) -> Result:
    """Write models/vlm/ARM/aligned."""
    return llava.align(load_pairs(arm), vlm, align, MODELS / arm / "aligned")


if __name__ == "__main__":
    run_stage(main, spread=True)
