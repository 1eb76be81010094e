"""Stage `studies`: compare ways to come by a training set over several seeds; run by `dvc repro studies/dvc.yaml`."""

import time
from pathlib import Path

from synthpairs.artwork.world import World
from synthpairs.benchmarks.params import Benchmark
from synthpairs.images.params import Images
from synthpairs.params import load_params
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes, write_json
from synthpairs.studies.figure import study_figure
from synthpairs.studies.measure import Setting, measure_studies
from synthpairs.studies.page import studies_page
from synthpairs.studies.params import Studies
from synthpairs.studies.results import study_results
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Vlm

OUT = Path("data/studies")


def main() -> None:
    """Write data/studies: numbers, plots and the page about them; `make studies` puts them into reports/."""
    studies = load_params(Studies, "studies")
    setting = Setting(
        studies=studies,
        data=Path("data"),
        select=load_params(Select, "select"),
        images=load_params(Images, "images"),
        scores=load_params(Scores, "scores"),
        vlm=load_params(Vlm, "vlm"),
        align=load_params(Align, "align"),
        finetune=load_params(Finetune, "finetune"),
        batch=load_params(Benchmark, "benchmark").batch,
        world=load_params(World, "world"),
    )
    with stage_run("studies", setting) as run:
        started = time.monotonic()
        found = measure_studies(setting)
        results = {name: study_results(study, found.answers, found.facts) for name, study in found.studies.items()}
        write_json(OUT / "studies.json", {"seeds": studies.seeds, "steps": studies.steps, "studies": results})
        for name, told in results.items():
            write_bytes(OUT / f"{name}.png", study_figure(told))
        write_bytes(OUT / "README.md", studies_page(results, studies, setting.images.guidance).encode())
        run.log({}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
