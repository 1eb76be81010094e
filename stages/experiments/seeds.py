"""Experiment `seeds`: the arms of the main run under other seeds; run by `dvc repro experiments/dvc.yaml:seeds`."""

from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.core.storage import write_bytes
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.results import comparison_figure
from synthpairs.experiments.seeds import SeedsConfig, measure_seeds
from synthpairs.report.experiments.seeds import seeds_page
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Finetune, Pretrain, Vlm

OUT = Path("reports/experiments")


@stage(metrics="reports/experiments/seeds.json")
def main(
    experiments: Experiments,
    arms: list[Arm],
    select: Select,
    vlm: Vlm,
    pretrain: Pretrain,
    finetune: Finetune,
    benchmark: Benchmark,
    perplexity: Perplexity,
    preference: Preference,
) -> Result:
    """Write reports/experiments/seeds.json, the page about it, and its figures."""
    config = SeedsConfig(
        data=Path("data"), seeds=experiments.seeds, arms=arms, select=select, vlm=vlm, pretrain=pretrain, finetune=finetune,
        benchmark=benchmark, perplexity=perplexity, preference=preference,
    )  # fmt: skip
    results = measure_seeds(config)
    for name in ("benchmarks", "preference"):
        write_bytes(OUT / f"{name}.png", comparison_figure(results[name]))
    write_bytes(OUT / "seeds.md", seeds_page(results).encode())
    return results


if __name__ == "__main__":
    run_stage(main)
