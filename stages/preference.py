"""Stage `preference`: generated against real pictures of the same captions, judged; run by `dvc repro preference`."""

import time
from pathlib import Path

from synthpairs.arms import Arm, CodeArm
from synthpairs.params import load_params
from synthpairs.preference.make import make_preference
from synthpairs.preference.page import headline
from synthpairs.preference.params import Preference
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("reports")


def main() -> None:
    """Write data/preference, reports/preference.json and its headline."""
    params = load_params(Preference, "preference")
    arms, code_arms = load_params(list[Arm], "arms"), load_params(list[CodeArm], "code_arms")
    with stage_run("preference", params) as run:
        started = time.monotonic()
        results, volatile = make_preference(params, [*arms, *code_arms], Path("data"), Path("data/preference"))
        metrics = headline(results)
        write_json(OUT / "preference.json", results)
        write_json(OUT / "metrics/preference.json", metrics)
        run.log(metrics, seconds=time.monotonic() - started, **volatile)


if __name__ == "__main__":
    run_stage(main)
