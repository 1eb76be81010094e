"""Stage `select`: rank the candidates, take the best, make the arms' training sets; run by `dvc repro select`."""

from pathlib import Path

from synthpairs.core.arms import Arm
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.selection.make import make_selection
from synthpairs.selection.params import Select


@stage(metrics="reports/metrics/select.json")
def main(select: Select, arms: list[Arm]) -> Result:
    """Write data/selection."""
    return make_selection(select, arms, Path("data"), Path("data/selection"))


if __name__ == "__main__":
    run_stage(main)
