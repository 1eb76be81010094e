"""Experiment `strategies`: ways to come by a training set; run by `dvc repro experiments/dvc.yaml:strategies`."""

from pathlib import Path

from synthpairs.core.config import load_params
from synthpairs.core.storage import write_bytes, write_json
from synthpairs.emoji.world import World
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.results import comparison_figure
from synthpairs.experiments.strategies import StrategiesSetting, measure_strategies
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.sections.strategies import strategies_page
from synthpairs.runtime.stage import run_stage, stage_run
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Align, Finetune, Vlm

OUT = Path("reports/experiments")


def main() -> None:
    """Write reports/experiments/strategies.json, the page about it, and a figure for each study."""
    setting = StrategiesSetting(
        data=Path("data"),
        strategies=load_params(Experiments, "experiments").strategies,
        select=load_params(Select, "select"),
        images=load_params(Images, "images"),
        scores=load_params(Scores, "scores"),
        vlm=load_params(Vlm, "vlm"),
        align=load_params(Align, "align"),
        finetune=load_params(Finetune, "finetune"),
        world=load_params(World, "world"),
        batch=load_params(Benchmark, "benchmark").batch,
    )
    with stage_run("strategies", setting):
        results = measure_strategies(setting)
        write_json(OUT / "strategies.json", results)
        for name, study in results["studies"].items():
            write_bytes(OUT / f"{name}.png", comparison_figure(study))
        page = strategies_page(results["studies"], setting.strategies, setting.images.guidance)
        write_bytes(OUT / "strategies.md", page.encode())


if __name__ == "__main__":
    run_stage(main)
