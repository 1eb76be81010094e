"""Stage `audit`: near duplicates, what benchmarks share with the pairs, text in pictures; run by `dvc repro audit`."""

from pathlib import Path

from synthpairs.evaluation.contamination.make import make_audit
from synthpairs.evaluation.contamination.params import Audit
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.scoring.params import Scores


@stage(metrics="reports/metrics/audit.json")
def main(audit: Audit, scores: Scores) -> Result:
    """Write data/audit."""
    return make_audit(audit, scores, Path("data"), Path("data/audit"))


if __name__ == "__main__":
    run_stage(main)
