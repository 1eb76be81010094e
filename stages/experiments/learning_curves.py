"""Experiment `learning_curves`: two arms of the Synth2 route; run by `dvc repro experiments/dvc.yaml:learning_curves`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.experiments.learning_curves import (
    LearningCurvesSetting,
    learning_curves_figure,
    measure_learning_curves,
)
from synthpairs.experiments.params import Experiments
from synthpairs.generation.masked.mixing import Mixing
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm


@stage(metrics="reports/experiments/learning_curves.json")
def main(
    experiments: Experiments,
    mixing: Mixing,
    align_codes: Training,
    finetune_codes: Finetune,
    vlm: Vlm,
    resampler: Resampler,
    benchmark: Benchmark,
) -> Result:
    """Write reports/experiments/learning_curves.json and the figure of it."""
    setting = LearningCurvesSetting(
        data=Path("data"), learning_curves=experiments.learning_curves, mixing=mixing, align=align_codes,
        finetune=finetune_codes, vlm=vlm, resampler=resampler, batch=benchmark.batch,
    )  # fmt: skip
    results = measure_learning_curves(setting)
    write_bytes(Path("reports/experiments/learning_curves.png"), learning_curves_figure(results))
    return results


if __name__ == "__main__":
    run_stage(main)
