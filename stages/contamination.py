"""Stage `contamination`: near duplicates, and what pairs share with the benchmarks; run by `dvc repro contamination`."""

from pathlib import Path

from synthpairs.evaluation.contamination.make import measure_contamination
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores


@stage(metrics="reports/metrics/contamination.json")
def main(contamination: Contamination, scores: Scores) -> Result:
    """Write data/contamination."""
    return measure_contamination(contamination, scores, Path("data"), Path("data/contamination"))


if __name__ == "__main__":
    run_stage(main)
