"""Stage `curves`: learning curves of two arms of the Synth2 route; run by `dvc repro curves/dvc.yaml`."""

import time
from pathlib import Path

from synthpairs.benchmarks.params import Benchmark
from synthpairs.curves.figure import curves_figure
from synthpairs.curves.measure import Setting, measure_curves
from synthpairs.curves.params import Curves
from synthpairs.embeddings.mixing import Mixing
from synthpairs.params import load_params
from synthpairs.storage import write_bytes, write_json
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm.llava import Finetune
from synthpairs.vlm.model import Resampler, Vlm
from synthpairs.vlm.training import Training

OUT = Path("data/curves")


def main() -> None:
    """Write data/curves: curves.json and the picture beside it; `make curves` puts both into reports/."""
    setting = Setting(
        curves=load_params(Curves, "curves"),
        mixing=load_params(Mixing, "mixing"),
        align=load_params(Training, "align_codes"),
        finetune=load_params(Finetune, "finetune_codes"),
        vlm=load_params(Vlm, "vlm"),
        resampler=load_params(Resampler, "resampler"),
        batch=load_params(Benchmark, "benchmark").batch,
        data=Path("data"),
    )
    with stage_run("curves", setting) as run:
        started = time.monotonic()
        results = measure_curves(setting)
        write_json(OUT / "curves.json", results)
        write_bytes(OUT / "curves.png", curves_figure(results))
        run.log({"reached": results["reached"]}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
