"""Stage `repeats`: the arms of the main run under other seeds; run by `dvc repro repeats/dvc.yaml`."""

import time
from pathlib import Path

from synthpairs.arms import Arm
from synthpairs.benchmarks.params import Benchmark
from synthpairs.params import load_params
from synthpairs.perplexity.params import Perplexity
from synthpairs.preference.params import Preference
from synthpairs.repeats.measure import Setting, measure_repeats
from synthpairs.repeats.page import repeats_page
from synthpairs.repeats.params import Repeats
from synthpairs.repeats.results import repeat_results
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes, write_json
from synthpairs.studies.figure import study_figure
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Vlm

OUT = Path("data/repeats")


def main() -> None:
    """Write data/repeats: numbers, plots and the page about them; `make repeats` puts them into reports/."""
    setting = Setting(
        repeats=load_params(Repeats, "repeats"),
        data=Path("data"),
        arms=load_params(list[Arm], "arms"),
        select=load_params(Select, "select"),
        vlm=load_params(Vlm, "vlm"),
        align=load_params(Align, "align"),
        finetune=load_params(Finetune, "finetune"),
        benchmark=load_params(Benchmark, "benchmark"),
        perplexity=load_params(Perplexity, "perplexity"),
        preference=load_params(Preference, "preference"),
    )
    with stage_run("repeats", setting) as run:
        started = time.monotonic()
        results = repeat_results(measure_repeats(setting), setting.arms)
        write_json(OUT / "repeats.json", results)
        for name in ("benchmarks", "preference"):
            write_bytes(OUT / f"{name}.png", study_figure(results[name]))
        write_bytes(OUT / "README.md", repeats_page(results).encode())
        run.log({}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
