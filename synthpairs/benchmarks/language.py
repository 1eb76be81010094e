"""What a model still knows without pictures: tasks of lm-eval (MMLU), and how well it foresees held-out text."""

import math
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from synthpairs.benchmarks.evaluation import LoadedVlm
from synthpairs.benchmarks.harness import Asked, asked_of
from synthpairs.benchmarks.local_data import local_first
from synthpairs.benchmarks.params import Benchmark
from synthpairs.benchmarks.suite_params import Perplexity, Suite
from synthpairs.benchmarks.summary import PLACES
from synthpairs.statistics import interval, mean

PERPLEXITY = "perplexity"  # its name among the benchmarks


def ask_text(model: PreTrainedModel, processor: ProcessorMixin, suite: Suite, params: Benchmark) -> Asked:
    """Numbers and answers of `suite.text`, without chat template, and the perplexity of `suite.perplexity`.

    lm-eval's data sets come from where lmms-eval's do (`synthpairs.benchmarks.suite`). ValueError for an unknown task.
    """
    found = Asked()
    if suite.text:
        found |= _ask_lm_eval(model, processor, suite, params)
    if suite.perplexity:
        found |= Asked({PERPLEXITY: perplexity(model, processor.tokenizer, suite.perplexity, params)})
    return found


def _ask_lm_eval(model: PreTrainedModel, processor: ProcessorMixin, suite: Suite, params: Benchmark) -> Asked:
    manager = TaskManager(include_path=str(Path(suite.include).absolute()) if suite.include else None)
    if unknown := [task for task in suite.text if task not in manager.all_tasks]:
        raise ValueError(f"params.yaml: suite.text: lm-eval has no task {unknown[0]!r}")
    with local_first():
        results: Any = simple_evaluate(
            LoadedVlm(model, processor, params.batch), tasks=suite.text, num_fewshot=suite.shots, limit=suite.limit,
            bootstrap_iters=0, task_manager=manager,
        )  # fmt: skip
    found = Asked()
    for task in suite.text:
        found |= asked_of(task, results, results["samples"], f"lm-eval {version('lm-eval')}", params)
    return found


@torch.inference_mode()
def perplexity(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, setting: Perplexity, params: Benchmark
) -> dict[str, Any]:
    """Perplexity per token of the first `setting.tokens` tokens of a text, as the numbers of a benchmark.

    Every token is predicted once, from those before it in its window and the end-of-text token before them all. The interval
    is over windows. Numbers of models with different tokenizers do not compare.
    """
    path = Path(setting.path)
    if not path.is_file():
        raise FileNotFoundError(f"params.yaml: suite.perplexity.path: {path} is no file")
    losses: list[float] = []
    places: list[str] = []
    for place, window in enumerate(_windows(path, tokenizer, setting)):
        ids = torch.tensor([[tokenizer.eos_token_id, *window]], device=model.device)
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
        losses += F.cross_entropy(logits.float(), ids[0, 1:], reduction="none").tolist()
        places += [str(place)] * len(window)
    if not losses:
        raise ValueError(f"params.yaml: suite.perplexity.path: {path} holds no text")
    low, high = interval(losses, places, params.resamples, params.seed)
    edges = {"value": math.exp(mean(losses)), "low": math.exp(low), "high": math.exp(high)}
    return {
        "metric": "perplexity",
        "higher_is_better": False,
        "stderr": None,
        "n": len(losses),
        **{name: round(edge, PLACES) for name, edge in edges.items()},
        "categories": {},
    }


def _windows(path: Path, tokenizer: PreTrainedTokenizerBase, setting: Perplexity) -> Iterator[Sequence[int]]:
    """Token ids of the file's documents, none with parts of two, `setting.tokens` in all."""
    left = setting.tokens
    for document in path.read_text(encoding="utf-8").split("\n\n"):
        ids = tokenizer(document.strip(), add_special_tokens=False)["input_ids"][:left]
        left -= len(ids)
        for start in range(0, len(ids), setting.window):
            yield ids[start : start + setting.window]
        if not left:
            return
