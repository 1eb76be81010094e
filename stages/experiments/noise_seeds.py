"""Experiment `noise_seeds`: the main run's captions painted again; run by `dvc repro experiments/dvc.yaml:noise_seeds`."""

from pathlib import Path

from synthpairs.core.config import load_params
from synthpairs.core.storage import write_bytes, write_json
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.experiments.noise_seeds import NoiseSeedsSetting, measure_noise_seeds
from synthpairs.experiments.params import Experiments
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.sections.noise_seeds import noise_seeds_page
from synthpairs.runtime.stage import run_stage, stage_run
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select

OUT = Path("reports/experiments")


def main() -> None:
    """Write reports/experiments/noise_seeds.json and the page about it."""
    setting = NoiseSeedsSetting(
        data=Path("data"),
        noise_seeds=load_params(Experiments, "experiments").noise_seeds,
        images=load_params(Images, "images"),
        scores=load_params(Scores, "scores"),
        select=load_params(Select, "select"),
        distributions=load_params(Distributions, "distributions"),
    )
    with stage_run("noise_seeds", setting):
        results = measure_noise_seeds(setting)
        write_json(OUT / "noise_seeds.json", results)
        write_bytes(OUT / "noise_seeds.md", noise_seeds_page(results["paintings"]).encode())


if __name__ == "__main__":
    run_stage(main)
