"""Stage `report`: the page about everything that was made and measured; run by `dvc repro report`."""

import json
import time
from pathlib import Path

from synthpairs.arms import Arm
from synthpairs.diversity.page import markdown
from synthpairs.params import load_params
from synthpairs.report.findings import Ranking
from synthpairs.report.graph import read_stages
from synthpairs.report.inputs import read_inputs
from synthpairs.report.page import FIGURES, build
from synthpairs.report.params import Report
from synthpairs.selection.params import Select
from synthpairs.storage import write_bytes
from synthpairs.tracking import run_stage, stage_run

OUT = Path("reports")


def main() -> None:
    """Write reports/README.md and the pictures beside it."""
    params, select = load_params(Report, "report"), load_params(Select, "select")
    arms = load_params(list[Arm], "arms")
    ranking = Ranking(
        strategy=select.strategy,
        clip_weight=select.clip_weight * select.clip_scale,
        ssim_weight=select.ssim_weight,
    )
    with stage_run("report", params) as run:
        started = time.monotonic()
        stages = read_stages(Path("dvc.yaml"), Path("params.yaml"))
        diversity = markdown(json.loads((OUT / "diversity.json").read_text("utf-8")))
        page, pictures = build(read_inputs(arms), stages, ranking, diversity, params, Path("data"))
        for stale in sorted((OUT / FIGURES).glob("*.png")):
            if stale.name not in pictures:
                stale.unlink()
        for name, payload in pictures.items():
            write_bytes(OUT / FIGURES / name, payload)
        write_bytes(OUT / "README.md", page.encode())
        run.log({"pictures": len(pictures)}, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
