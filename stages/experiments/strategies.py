"""Experiment `strategies`: ways to choose a training set; run by `dvc repro experiments/dvc.yaml:strategies`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes
from synthpairs.emoji.params import EmojiWorld
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.results import comparison_figure
from synthpairs.experiments.strategies import StrategiesConfig, measure_strategies
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.experiments.strategies import strategies_page
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Finetune, Pretrain, Vlm

OUT = Path("reports/experiments")


@stage(metrics="reports/experiments/strategies.json")
def main(
    experiments: Experiments,
    select: Select,
    images: Images,
    scores: Scores,
    vlm: Vlm,
    pretrain: Pretrain,
    finetune: Finetune,
    benchmark: Benchmark,
    world: EmojiWorld,
) -> Result:
    """Write reports/experiments/strategies.json, the page about it, and a figure for each study."""
    config = StrategiesConfig(
        data=Path("data"), strategies=experiments.strategies, select=select, images=images, scores=scores, vlm=vlm,
        pretrain=pretrain, finetune=finetune, world=world, batch=benchmark.batch_size,
    )  # fmt: skip
    results = measure_strategies(config)
    for name, study in results["studies"].items():
        write_bytes(OUT / f"{name}.png", comparison_figure(study))
    page = strategies_page(results["studies"], experiments.strategies, images.guidance_scale)
    write_bytes(OUT / "strategies.md", page.encode())
    return results


if __name__ == "__main__":
    run_stage(main)
