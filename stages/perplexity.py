"""Stage `perplexity`: what the trainings did to the language model's language; run by `dvc repro perplexity`."""

import time
from pathlib import Path

from synthpairs.arms import Arm, CodeArm
from synthpairs.params import load_params
from synthpairs.perplexity.measure import measure_perplexity
from synthpairs.perplexity.page import headline
from synthpairs.perplexity.params import Perplexity
from synthpairs.storage import write_json
from synthpairs.tracking import run_stage, stage_run

OUT = Path("reports")


def main() -> None:
    """Write reports/perplexity.json and its headline."""
    params = load_params(Perplexity, "perplexity")
    arms, code_arms = load_params(list[Arm], "arms"), load_params(list[CodeArm], "code_arms")
    with stage_run("perplexity", params) as run:
        started = time.monotonic()
        results = measure_perplexity(params, [*arms, *code_arms])
        metrics = headline(results)
        write_json(OUT / "perplexity.json", results)
        write_json(OUT / "metrics/perplexity.json", metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
