"""Stage `gallery`: the pairs with their pictures and scores as a page to look at; run by `dvc repro gallery`."""

from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.report.gallery.make import make_gallery
from synthpairs.report.gallery.params import Gallery
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.params import Select


@stage(metrics="reports/metrics/gallery.json")
def main(gallery: Gallery, select: Select, arms: list[Arm]) -> Result:
    """Write reports/gallery."""
    return make_gallery(gallery, select, arms, Path("data"), Path("reports/gallery"))


if __name__ == "__main__":
    run_stage(main)
