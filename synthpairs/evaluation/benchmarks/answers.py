"""Answers of a vision-language model to our own benchmarks, through lm-eval."""

import gc
import logging
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lm_eval.api.task
import pandas as pd
from lm_eval import evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.hf_vlms import HFMultimodalLM
from lm_eval.tasks import TaskManager
from tqdm import tqdm
from transformers import PreTrainedModel, ProcessorMixin

import synthpairs.evaluation.benchmarks.scoring  # noqa: F401  task definitions name its functions
from synthpairs.core.schema import ANSWERS
from synthpairs.emoji.tasks.definitions import BLIND, PICTURED, TEXT
from synthpairs.evaluation.benchmarks.cider import cider_scores

log = logging.getLogger(__name__)
lm_eval.api.task.tqdm = partial(tqdm, disable=None)  # progress bars on a terminal only; lm-eval has no setting for it


class LoadedVlm(HFMultimodalLM):
    """lm-eval's `hf-multimodal` around a model and a processor in memory, with progress bars on a terminal only."""

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, batch: int) -> None:
        self.processor = processor
        super().__init__(pretrained=model, batch_size=batch)

    def _create_tokenizer(self, *_: Any, **__: Any) -> None:
        self.tokenizer = self.processor.tokenizer

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """Greedy answers; of equal prompts without an image one is answered."""
        quiet = disable_tqdm or not sys.stderr.isatty()
        if not requests or len(requests[0].args) == 3:  # the third argument holds the images
            return super().generate_until(requests, disable_tqdm=quiet)
        distinct = {repr(request.args): request for request in requests}
        answers = dict(zip(distinct, super().generate_until([*distinct.values()], disable_tqdm=quiet), strict=True))
        return [answers[repr(request.args)] for request in requests]

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """Log-likelihoods, as lm-eval's."""
        return super().loglikelihood(requests, disable_tqdm=disable_tqdm or not sys.stderr.isatty())


def answer_all(
    model: PreTrainedModel, processor: ProcessorMixin, directory: Path, batch: int, tasks: Sequence[str]
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Answers (ANSWERS) to benchmarks defined in `directory`, also blind if they have images, and the tasks' versions.

    FileNotFoundError when a definition is missing.
    """
    manager = _task_manager(directory, tasks)
    pictured = [task for task in PICTURED if task in tasks]
    text = [task for task in tasks if task == TEXT]  # likelihoods of plain sentences, without chat template
    vlm = LoadedVlm(model, processor, batch)
    gc.collect()
    gc.freeze()  # lm-eval collects garbage after every batch; without the imports' objects that takes no time
    tables: list[pd.DataFrame] = []
    versions: dict[str, float] = {}
    try:
        for group in filter(None, (pictured, [f"{task}{BLIND}" for task in pictured], text)):
            started = time.monotonic()
            results = evaluate(vlm, manager.load(group), bootstrap_iters=0, apply_chat_template=group != text)
            versions |= {task: results["versions"][task] for task in group if not task.endswith(BLIND)}
            tables += [_answers(task, results["samples"][task]) for task in group]
            count = sum(map(len, tables[-len(group) :]))
            log.info("%s: %d answers in %.0f s", ", ".join(group), count, time.monotonic() - started)
    finally:
        gc.unfreeze()
    answers = pd.concat(tables, ignore_index=True) if tables else ANSWERS.empty_table().to_pandas()
    return answers.sort_values(["task", "blind", "uid"], ignore_index=True), versions


def answer_first(
    model: PreTrainedModel, processor: ProcessorMixin, directory: Path, batch: int, task: str, items: int
) -> pd.DataFrame:
    """Answers to the first `items` items of one benchmark with images, as ANSWERS; CIDEr-D's idf is of these items."""
    loaded = _task_manager(directory, [task]).load([task])
    vlm = LoadedVlm(model, processor, batch)
    results = evaluate(vlm, loaded, limit=items, bootstrap_iters=0, apply_chat_template=True)
    return _answers(task, results["samples"][task])


def _task_manager(directory: Path, tasks: Sequence[str]) -> TaskManager:
    missing = [task for task in tasks if not (directory / f"{task}.yaml").exists()]
    if missing:
        raise FileNotFoundError(f"{directory / missing[0]}.yaml is missing: run `dvc repro tasks` first")
    logging.getLogger("lm_eval").setLevel(logging.ERROR)  # it warns about models in memory, which are intended
    return TaskManager(include_path=str(directory), include_defaults=False)


def _answers(task: str, samples: Sequence[dict]) -> pd.DataFrame:
    """One task's samples of lm-eval as rows of ANSWERS."""
    rows = [sample["doc"] for sample in samples]
    if task == TEXT:
        likelihoods = [[float(choice[0]) for choice in sample["filtered_resps"]] for sample in samples]
        predictions = [row["choices"][values.index(max(values))] for row, values in zip(rows, likelihoods, strict=True)]
    else:
        predictions = [str(sample["filtered_resps"][0]).strip() for sample in samples]
    if task.startswith("desk_caption"):
        scores = cider_scores(predictions, [row["answers"] for row in rows])
    else:
        scores = [float(sample["acc" if task == TEXT else "accuracy"]) for sample in samples]
    table = pd.DataFrame(rows, columns=["uid", "task", "blind", "category", "concept"])
    return table.assign(task=task.removesuffix(BLIND), blind=task.endswith(BLIND), prediction=predictions, score=scores)
