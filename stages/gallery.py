"""Stage `gallery`: the pairs with their pictures and scores as a page to look at; run by `dvc repro gallery`."""

from pathlib import Path

from synthpairs.arms import Arm
from synthpairs.gallery.make import make_gallery
from synthpairs.gallery.params import Gallery
from synthpairs.selection.params import Select
from synthpairs.tracking import Result, run_stage, stage


@stage(metrics="reports/metrics/gallery.json")
def main(gallery: Gallery, select: Select, arms: list[Arm]) -> Result:
    """Write reports/gallery."""
    return make_gallery(gallery, select, arms, Path("data"), Path("reports/gallery"))


if __name__ == "__main__":
    run_stage(main)
