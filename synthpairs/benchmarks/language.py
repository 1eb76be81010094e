"""What a model still knows without pictures: tasks of lm-eval (MMLU)."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from transformers import PreTrainedModel, ProcessorMixin

from synthpairs.benchmarks.evaluation import LoadedVlm
from synthpairs.benchmarks.harness import Asked, asked_of
from synthpairs.benchmarks.local_data import local_first
from synthpairs.benchmarks.params import Benchmark
from synthpairs.benchmarks.suite_params import Suite


def ask_text(model: PreTrainedModel, processor: ProcessorMixin, suite: Suite, params: Benchmark) -> Asked:
    """Numbers and answers of `suite.text`, without chat template.

    lm-eval's data sets come from where lmms-eval's do (`synthpairs.benchmarks.suite`). ValueError for an unknown task.
    """
    found = Asked()
    if not suite.text:
        return found
    manager = TaskManager(include_path=str(Path(suite.include).absolute()) if suite.include else None)
    if unknown := [task for task in suite.text if task not in manager.all_tasks]:
        raise ValueError(f"params.yaml: suite.text: lm-eval has no task {unknown[0]!r}")
    with local_first():
        results: Any = simple_evaluate(
            LoadedVlm(model, processor, params.batch), tasks=suite.text, num_fewshot=suite.shots, limit=suite.limit,
            bootstrap_iters=0, task_manager=manager,
        )  # fmt: skip
    for task in suite.text:
        found |= asked_of(task, results, results["samples"], f"lm-eval {version('lm-eval')}", params)
    return found
