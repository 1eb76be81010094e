"""Stage `select`: rank the candidates, take the best, write data set and arms; run by `dvc repro select`."""

from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.make import make_selection
from synthpairs.selection.params import Select


@stage(metrics="reports/metrics/select.json")
def main(select: Select, arms: list[Arm]) -> Result:
    """Write data/selected."""
    return make_selection(select, arms, Path("data"), Path("data/selected"))


if __name__ == "__main__":
    run_stage(main)
