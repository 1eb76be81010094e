"""Stage `benchmark`: ask one arm's model every benchmark, with pictures and blind; run by `dvc repro benchmark@ARM`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from synthpairs.core.arms import MODELS, UNTRAINED, Arm, TokenArm
from synthpairs.core.schema import ANSWERS
from synthpairs.core.storage import write_table
from synthpairs.evaluation.benchmarks.answers import answer_all
from synthpairs.evaluation.benchmarks.external_benchmarks import run_lm_eval, run_lmms_eval
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks
from synthpairs.evaluation.benchmarks.summary import summarise
from synthpairs.runtime.stage import Result, run_stage, stage
from synthpairs.vlm.model import load

TESTED = (*get_args(Arm), *get_args(TokenArm), UNTRAINED)
TABLES = Path("data/tasks")


def tested_arm(arguments: Sequence[str]) -> str:
    """The one arm that the stage was started for; ValueError lists those that there are."""
    arm = arguments[0] if len(arguments) == 1 else ""
    if arm not in TESTED:
        raise ValueError(f"usage: python -m stages.benchmark ARM, with ARM one of {', '.join(TESTED)}; got {arm!r}")
    return arm


@stage(metrics="reports/benchmarks/{arm}.json", arm=tested_arm)
def main(arm: str, benchmark: Benchmark, external_benchmarks: ExternalBenchmarks) -> Result:
    """Write the arm's individual answers, reports/benchmarks/items/ARM.parquet."""
    if arm in get_args(TokenArm):  # lmms-eval does not know models that see through a VQ tokenizer
        tasks, external_benchmarks = benchmark.tasks.tokens, replace(external_benchmarks, pictures=[])
    else:
        tasks, external_benchmarks = benchmark.tasks.pictures, replace(external_benchmarks, tokens=[])
    folder = MODELS / (arm if arm == UNTRAINED else f"{arm}/finetuned")
    more = run_lmms_eval(
        folder, external_benchmarks, benchmark
    )  # first: a process of its own, which wants the accelerator's memory
    model, processor = load(folder)
    answers, versions = answer_all(model, processor, TABLES, benchmark.batch_size, tasks)
    metrics = summarise(answers, versions, benchmark)
    more |= run_lm_eval(model, processor, external_benchmarks, benchmark)
    write_table(Path(f"reports/benchmarks/items/{arm}.parquet"), more.joined(answers), ANSWERS)
    return metrics | more.numbers


if __name__ == "__main__":
    run_stage(main)
