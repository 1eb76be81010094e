"""External benchmarks: the paper's tasks with images through lmms-eval, text (MMLU) and captioning through lm-eval.

Data sets are downloaded from the hub into `HF_HOME`. Without a network they are read from the directory
`SYNTHPAIRS_DATASETS`, as OWNER/NAME with the hub's files, or from a copied `HF_HOME`. Each lmms-eval task runs in a
process with the whole environment of this one, including the address and key of a judge (MM-Vet). Results of finished
tasks stay in the work store, so a killed stage resumes with the next task.
"""

import contextlib
import json
import logging
import os
import re
import shutil
import subprocess
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from transformers import PreTrainedModel, ProcessorMixin

from synthpairs.core.determinism import best_device
from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, file_sha256
from synthpairs.evaluation.benchmarks.answers import LoadedVlm
from synthpairs.evaluation.benchmarks.cider import cider_scores
from synthpairs.evaluation.benchmarks.harness_results import HarnessResults, harness_results
from synthpairs.evaluation.benchmarks.lmms_environment import LOCK, lmms_engine, lmms_python
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks

log = logging.getLogger(__name__)
DATASETS = "SYNTHPAIRS_DATASETS"
RUNNER = Path(__file__).with_name("lmms_runner.py")
CAPTIONING = Path(__file__).with_name("captioning")  # definitions of lm-eval tasks
CIDER = "cider_d"  # their metric
RESULT_KEYS = ("results", "groups", "group_subtasks", "configs", "versions", "higher_is_better", "n-samples")
UNUSED = ("input", "target", "resps", "doc_hash", "token_counts")  # long fields of a sample
LINES = 12  # of a failed task's log, in the error
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def run_lmms_eval(folder: Path, external: ExternalBenchmarks, params: Benchmark) -> HarnessResults:
    """Results of `external_benchmarks.pictures` for the LLaVA in the directory `folder`.

    ValueError for a task that fails, with the path of its log and its last lines.
    """
    if not external.pictures:
        return HarnessResults()
    for task in external.pictures:
        if not re.fullmatch(r"[\w.-]+", task):
            raise ValueError(f"params.yaml: external_benchmarks.pictures: {task!r} is not a task name of lmms-eval")
    include = Path(external.include) if external.include else None
    if include and not include.is_dir():
        raise FileNotFoundError(f"params.yaml: external_benchmarks.include: {include} is not a directory")
    python = lmms_python()
    engine = lmms_engine(python)
    inputs = (engine, file_sha256(LOCK), file_sha256(RUNNER), file_sha256(folder), external.limit, params.batch_size)
    store = WorkStore("benchmark", digest(*inputs, include and file_sha256(include)))
    results = HarnessResults()
    with store.locked():
        for task in external.pictures:
            result = store.get_json(f"{task}.json", lambda value: value.keys() == {"results", "samples"})
            if result is None:
                result = store.put_json(
                    f"{task}.json", _run(python, task, folder, external, params.batch_size, store.path / task)
                )
                shutil.rmtree(store.path / task)
            results |= harness_results(task, result["results"], result["samples"], engine, params)
    return results


def run_lm_eval(
    model: PreTrainedModel, processor: ProcessorMixin, external: ExternalBenchmarks, params: Benchmark
) -> HarnessResults:
    """Results of `external_benchmarks.tokens`, asked by the chat template, and of `.text`; ValueError for an unknown task."""
    results = HarnessResults()
    if not (asked := {key: tasks for key in ("tokens", "text") if (tasks := getattr(external, key))}):
        return results
    manager = _task_manager(Path(external.include).absolute() if external.include else None)
    owners = _local_owners()  # `datasets` looks into the working directory
    for key, tasks in asked.items():
        if unknown := [task for task in tasks if task not in manager.all_tasks]:
            raise ValueError(f"params.yaml: external_benchmarks.{key}: lm-eval has no task {unknown[0]!r}")
        with contextlib.chdir(owners[0].parent) if owners else contextlib.nullcontext():
            evaluated: Any = simple_evaluate(
                LoadedVlm(model, processor, params.batch_size), tasks=tasks, limit=external.limit, bootstrap_iters=0,
                num_fewshot=external.shots if key == "text" else None, task_manager=manager, apply_chat_template=key == "tokens",
            )  # fmt: skip
        for samples in evaluated["samples"].values():
            if CIDER in samples[0]:
                _score_captions(samples)
        for task in tasks:
            results |= harness_results(task, evaluated, evaluated["samples"], f"lm-eval {version('lm-eval')}", params)
    return results


@cache
def _task_manager(include: Path | None) -> TaskManager:
    """lm-eval's tasks with ours and those in the directory `include`; listing them takes seconds."""
    return TaskManager(include_path=[CAPTIONING, *filter(None, [include])])


def _score_captions(samples: list[dict]) -> None:
    """Put each question's CIDEr-D in place of its prediction and references; lm-eval has that of all questions alone."""
    predictions, references = zip(*(sample[CIDER] for sample in samples), strict=True)
    for sample, score in zip(samples, cider_scores(predictions, references), strict=True):
        sample[CIDER] = score


def _local_owners() -> list[Path]:
    """Directories OWNER in the directory that the variable DATASETS names; none without it."""
    if not (name := os.environ.get(DATASETS)):
        return []
    if not Path(name).is_dir():
        raise FileNotFoundError(f"{DATASETS} is {name!r}, which is not a directory")
    return sorted(owner for owner in Path(name).absolute().iterdir() if owner.is_dir())


def _run(
    python: Path, task: str, folder: Path, external: ExternalBenchmarks, batch_size: int, work: Path
) -> dict[str, Any]:
    """One task's results and samples, from a process that runs in the empty directory `work`."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for owner in _local_owners():
        (work / owner.name).symlink_to(owner)  # `load_dataset("OWNER/NAME")` looks into the working directory first
    device = best_device().type
    command = [str(python), str(RUNNER), "--model", "synthpairs_llava", "--tasks", task]
    command += ["--batch_size", str(batch_size)]
    command += ["--model_args", f"pretrained={folder.absolute()},device={device},device_map={device}"]
    command += ["--output_path", "out", "--log_samples"]
    command += ["--limit", str(external.limit)] if external.limit else []
    command += ["--include_path", str(Path(external.include).absolute())] if external.include else []
    log_file = work / "log.txt"
    log.info("%s: lmms-eval is running, log in %s", task, log_file)
    started = time.monotonic()
    with (
        log_file.open("wb") as out,
        subprocess.Popen(command, cwd=work, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT) as child,
    ):
        code = child.wait()  # ends with this process: see end_with_stage of the runner
    written = sorted(work.glob("out/*/*_results.json"))
    if code or not written:  # lmms-eval ends with 0 after most errors
        raise ValueError(f"lmms-eval: {task} failed (log in {log_file}): {_end(log_file)}")
    samples = {}
    for file in written[0].parent.glob("*_samples_*.jsonl"):
        with file.open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        name = file.stem.partition("_samples_")[2]
        samples[name] = [{key: value for key, value in row.items() if key not in UNUSED} for row in rows]
    results = json.loads(written[0].read_text(encoding="utf-8"))
    log.info("%s: %d answers in %.0f s", task, sum(map(len, samples.values())), time.monotonic() - started)
    return {"results": {key: results[key] for key in RESULT_KEYS if key in results}, "samples": samples}


def _end(path: Path) -> str:
    """Last lines of a log, without colours and progress bars."""
    text = _COLOUR.sub("", path.read_text(encoding="utf-8", errors="replace"))
    lines = [line.rpartition("\r")[2].strip() for line in text.splitlines()]
    return " | ".join([line for line in lines if line and not set(line) <= set("^~ ")][-LINES:])
