"""Experiment `seeds`: the arms of the main run under other seeds; run by `dvc repro experiments/dvc.yaml:seeds`."""

from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.core.config import load_params
from synthpairs.core.storage import write_bytes, write_json
from synthpairs.evaluation.benchmarks.params import Benchmark
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.params import Preference
from synthpairs.experiments.params import Experiments
from synthpairs.experiments.results import comparison_figure
from synthpairs.experiments.seeds import SeedsSetting, measure_seeds
from synthpairs.report.sections.seeds import seeds_page
from synthpairs.runtime.stage import run_stage, stage_run
from synthpairs.selection.params import Select
from synthpairs.vlm.params import Align, Finetune, Vlm

OUT = Path("reports/experiments")


def main() -> None:
    """Write reports/experiments/seeds.json, the page about it, and its figures."""
    setting = SeedsSetting(
        data=Path("data"),
        seeds=load_params(Experiments, "experiments").seeds,
        arms=load_params(list[Arm], "arms"),
        select=load_params(Select, "select"),
        vlm=load_params(Vlm, "vlm"),
        align=load_params(Align, "align"),
        finetune=load_params(Finetune, "finetune"),
        benchmark=load_params(Benchmark, "benchmark"),
        perplexity=load_params(Perplexity, "perplexity"),
        preference=load_params(Preference, "preference"),
    )
    with stage_run("seeds", setting):
        results = measure_seeds(setting)
        write_json(OUT / "seeds.json", results)
        for name in ("benchmarks", "preference"):
            write_bytes(OUT / f"{name}.png", comparison_figure(results[name]))
        write_bytes(OUT / "seeds.md", seeds_page(results).encode())


if __name__ == "__main__":
    run_stage(main)
