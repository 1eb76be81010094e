"""Stage `audit`: near duplicates, what benchmarks share with the pairs, text in pictures; run by `dvc repro audit`."""

import time
from pathlib import Path

from synthpairs.audit.make import make_audit
from synthpairs.audit.params import Audit
from synthpairs.params import load_params
from synthpairs.scores.params import Scores
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run


def main() -> None:
    """Make data/audit."""
    params, scores = load_params(Audit, "audit"), load_params(Scores, "scores")
    with stage_run("audit", params) as run:
        started = time.monotonic()
        metrics, volatile = make_audit(params, scores, Path("data"), Path("data/audit"))
        write_json(Path("reports/metrics/audit.json"), metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
