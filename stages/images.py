"""Stage `images`: generate candidate images of every kept caption into shards; run by `dvc repro images`."""

from pathlib import Path

from synthpairs.core.storage import read_table
from synthpairs.generation.candidates import CAPTION_COLUMNS
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/images.json")
def main(images: Images) -> Result:
    """Write data/images."""
    captions = read_table(Path("data/captions/kept.parquet"), "dvc repro captions", CAPTION_COLUMNS)
    return make_images(captions, images, Path("data/images"))


if __name__ == "__main__":
    run_stage(main)
