"""Experiment `learning_curves` of the Synth2 route; run by `dvc repro experiments/dvc.yaml:learning_curves`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks
from synthpairs.experiments.learning_curves import (
    LearningCurvesConfig,
    learning_curves_figure,
    measure_learning_curves,
)
from synthpairs.experiments.params import Experiments
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.report.experiments.learning_curves import learning_curves_page
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.mixing import Mixing
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm


@stage(metrics="reports/experiments/learning_curves.json")
def main(
    experiments: Experiments,
    generate_tokens: GenerateTokens,
    mixing: Mixing,
    pretrain_tokens: Training,
    finetune_tokens: Finetune,
    vlm: Vlm,
    resampler: Resampler,
    benchmark: Benchmark,
    external_benchmarks: ExternalBenchmarks,
) -> Result:
    """Write reports/experiments/learning_curves.json, the page about it and its figure."""
    config = LearningCurvesConfig(
        data=Path("data"), learning_curves=experiments.learning_curves, generate_tokens=generate_tokens, mixing=mixing,
        pretrain=pretrain_tokens, finetune=finetune_tokens, vlm=vlm, resampler=resampler, benchmark=benchmark,
        external_benchmarks=external_benchmarks,
    )  # fmt: skip
    results = measure_learning_curves(config)
    write_bytes(Path("reports/experiments/learning_curves.png"), learning_curves_figure(results))
    write_bytes(Path("reports/experiments/learning_curves.md"), learning_curves_page(results).encode())
    return results


if __name__ == "__main__":
    run_stage(main)
