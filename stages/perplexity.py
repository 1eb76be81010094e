"""Stage `perplexity`: what the trainings did to the language model's language; run by `dvc repro perplexity`."""

from pathlib import Path

from synthpairs.core.arms import Arm, TokenArm
from synthpairs.core.storage import write_json
from synthpairs.evaluation.perplexity.measure import measure_perplexity, tracked_metrics
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.runtime.stage import Result, run_stage, stage


@stage(metrics="reports/metrics/perplexity.json")
def main(perplexity: Perplexity, arms: list[Arm], token_arms: list[TokenArm]) -> Result:
    """Write reports/perplexity.json."""
    results = measure_perplexity(perplexity, [*arms, *token_arms])
    write_json(Path("reports/perplexity.json"), results)
    return tracked_metrics(results)


if __name__ == "__main__":
    run_stage(main)
