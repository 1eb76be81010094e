"""Stage `images`: paint candidates for every kept caption into shards; run by `dvc repro images`."""

import time
from pathlib import Path

from synthpairs.images.make import make_images
from synthpairs.images.params import Images
from synthpairs.params import load_params
from synthpairs.storage import read_table, write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/images from data/captions/kept.parquet."""
    params = load_params(Images, "images")
    with stage_run("images", params) as run:
        started = time.monotonic()
        captions = read_table(Path("data/captions/kept.parquet"), "dvc repro captions")
        metrics, volatile = make_images(captions, params, Path("data/images"))
        write_json(Path("reports/metrics/images.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
