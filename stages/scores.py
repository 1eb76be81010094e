"""Stage `scores`: CLIP cosine and SSIM of every candidate picture; run by `dvc repro scores`."""

import time
from pathlib import Path

from synthpairs.params import load_params
from synthpairs.scores.params import Scores
from synthpairs.scores.score import score_images
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/scores from data/images."""
    params = load_params(Scores, "scores")
    with stage_run("scores", params) as run:
        started = time.monotonic()
        manifest = read_table(Path("data/images/manifest.parquet"), "dvc repro images")
        metrics, volatile = score_images(manifest, params, Path("data/images"), Path("data/scores"))
        write_json(Path("reports/metrics/scores.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
