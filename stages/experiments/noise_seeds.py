"""Experiment `noise_seeds`: the main run's captions with other noise; run by `dvc repro experiments/dvc.yaml:noise_seeds`."""

from pathlib import Path

from synthpairs.core.storage import write_bytes
from synthpairs.evaluation.distributions.params import Distributions
from synthpairs.experiments.noise_seeds import NoiseSeedsConfig, measure_noise_seeds
from synthpairs.experiments.params import Experiments
from synthpairs.generation.diffusion.params import Images
from synthpairs.report.experiments.noise_seeds import noise_seeds_page
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores
from synthpairs.selection.params import Select


@stage(metrics="reports/experiments/noise_seeds.json")
def main(
    experiments: Experiments, images: Images, scores: Scores, select: Select, distributions: Distributions
) -> Result:
    """Write reports/experiments/noise_seeds.json and the page about it."""
    config = NoiseSeedsConfig(
        data=Path("data"), noise_seeds=experiments.noise_seeds, images=images, scores=scores, select=select,
        distributions=distributions,
    )  # fmt: skip
    results = measure_noise_seeds(config)
    write_bytes(Path("reports/experiments/noise_seeds.md"), noise_seeds_page(results["paintings"]).encode())
    return results


if __name__ == "__main__":
    run_stage(main)
