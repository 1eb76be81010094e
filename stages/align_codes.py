"""Stage `align-codes`: train an arm's resampler on its codes; run by `dvc repro align-codes@ARM`."""

import sys
import time
from pathlib import Path

from synthpairs.arms import MODELS, chosen_arm
from synthpairs.embeddings.mixing import Mixing, mixed
from synthpairs.launch import leads
from synthpairs.params import load_params
from synthpairs.resampler_pretraining import align_codes
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.model import Resampler, Vlm
from synthpairs.vlm.training import Training


def main() -> None:
    """Write models/vlm/ARM/aligned and its metrics."""
    arm = chosen_arm(sys.argv[1:], "code_arms")
    vlm, resampler = load_params(Vlm, "vlm"), load_params(Resampler, "resampler")
    params, mixing = load_params(Training, "align_codes"), load_params(Mixing, "mixing")
    with stage_run(f"align-codes@{arm}", params) as run:
        started = time.monotonic()
        pairs, counts = mixed(arm, mixing, Path("data"), resampler.tokenizer)
        metrics = align_codes(pairs, vlm, resampler, params, MODELS / arm / "aligned") | counts
        if leads():
            write_json(Path(f"reports/metrics/align/{arm}.json"), metrics)
            run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main, spread=True)
