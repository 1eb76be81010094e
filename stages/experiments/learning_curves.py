"""Experiment `learning_curves`: two arms of the Synth2 route; run by `dvc repro experiments/dvc.yaml:learning_curves`."""

from pathlib import Path

from synthpairs.core.config import load_params
from synthpairs.core.storage import write_bytes, write_json
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.experiments.learning_curves import (
    LearningCurvesSetting,
    learning_curves_figure,
    measure_learning_curves,
)
from synthpairs.experiments.params import Experiments
from synthpairs.generation.masked.mixing import Mixing
from synthpairs.runtime.stage import run_stage, stage_run
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm

OUT = Path("reports/experiments")


def main() -> None:
    """Write reports/experiments/learning_curves.json and the figure of it."""
    setting = LearningCurvesSetting(
        data=Path("data"),
        learning_curves=load_params(Experiments, "experiments").learning_curves,
        mixing=load_params(Mixing, "mixing"),
        align=load_params(Training, "align_codes"),
        finetune=load_params(Finetune, "finetune_codes"),
        vlm=load_params(Vlm, "vlm"),
        resampler=load_params(Resampler, "resampler"),
        batch=load_params(Benchmark, "benchmark").batch,
    )
    with stage_run("learning_curves", setting) as run:
        results = measure_learning_curves(setting)
        write_json(OUT / "learning_curves.json", results)
        write_bytes(OUT / "learning_curves.png", learning_curves_figure(results))
        run.log({"reached": results["reached"]})


if __name__ == "__main__":
    run_stage(main)
