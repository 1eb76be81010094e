"""Stage `preference`: generated against real pictures of the same captions, judged; run by `dvc repro preference`."""

from pathlib import Path

from synthpairs.core.arms import Arm, TokenArm
from synthpairs.core.storage import write_json
from synthpairs.evaluation.preference.make import make_preference, tracked_metrics
from synthpairs.evaluation.preference.params import Preference
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/preference.json")
def main(preference: Preference, arms: list[Arm], token_arms: list[TokenArm]) -> Result:
    """Write data/preference and reports/preference.json."""
    results, volatile = make_preference(preference, [*arms, *token_arms], Path("data"), Path("data/preference"))
    write_json(Path("reports/preference.json"), results)
    return tracked_metrics(results), volatile


if __name__ == "__main__":
    run_stage(main)
