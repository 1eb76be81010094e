"""Stage `benchmark`: ask one arm's model every benchmark, with pictures and blind; run by `dvc repro benchmark@ARM`."""

import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

from synthpairs.arms import MODELS, UNTRAINED, Arm, CodeArm
from synthpairs.benchmarks.evaluation import answer_all
from synthpairs.benchmarks.params import Benchmark, Suite
from synthpairs.benchmarks.suite import ask_pictures, ask_text
from synthpairs.benchmarks.summary import summarise
from synthpairs.params import load_params
from synthpairs.schema import ANSWERS
from synthpairs.storage import write_json, write_table
from synthpairs.tracking import run_stage, stage_run
from synthpairs.vlm import load

TESTED = (*get_args(Arm), *get_args(CodeArm), UNTRAINED)
OUT = Path("reports/benchmarks")
TABLES = Path("data/tasks")
log = logging.getLogger(__name__)


def main() -> None:
    """Write the arm's numbers and its single answers."""
    arm = sys.argv[1] if len(sys.argv) == 2 else ""
    if arm not in TESTED:
        raise ValueError(f"usage: python -m stages.benchmark ARM, with ARM one of {', '.join(TESTED)}; got {arm!r}")
    params, suite = load_params(Benchmark, "benchmark"), load_params(Suite, "suite")
    tasks = params.tasks.codes if arm in get_args(CodeArm) else params.tasks.pictures
    if arm in get_args(CodeArm) and suite.pictures:
        log.warning("suite.pictures is left out: lmms-eval does not know models that see through a VQ tokenizer")
        suite = replace(suite, pictures=[])
    with stage_run(f"benchmark@{arm}", params) as run:
        started = time.monotonic()
        folder = MODELS / (arm if arm == UNTRAINED else f"{arm}/finetuned")
        more = ask_pictures(folder, suite, params)  # first: a process of its own, which wants the accelerator's memory
        model, processor = load(folder)
        answers, versions = answer_all(model, processor, TABLES, params.batch, tasks)
        metrics = summarise(answers, versions, params)
        more |= ask_text(model, processor, suite, params)
        metrics |= more.numbers
        write_table(OUT / "items" / f"{arm}.parquet", more.joined(answers), ANSWERS)
        write_json(OUT / f"{arm}.json", metrics)
        run.log(metrics, seconds=time.monotonic() - started)


if __name__ == "__main__":
    run_stage(main)
