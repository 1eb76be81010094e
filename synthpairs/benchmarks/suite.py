"""The paper's benchmarks with pictures through lmms-eval, each task in a process of its own.

lmms-eval fetches its data sets from the hub into `HF_HOME`. Where there is no network it takes them from the directory that
`SYNTHPAIRS_DATASETS` names, as OWNER/NAME with the files that the hub has of them, or from a `HF_HOME` that the same run has
filled elsewhere. The environment of this process is handed on whole, a judge's address and key (MM-Vet) with it.
A finished task is kept outside the outs, so a killed stage goes on with the next one.
"""

import json
import logging
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthpairs.benchmarks.harness import Asked, asked_of
from synthpairs.benchmarks.lmms_environment import LOCK, lmms_python, lmms_version
from synthpairs.benchmarks.local_data import local_owners
from synthpairs.benchmarks.params import Benchmark
from synthpairs.benchmarks.suite_params import Suite
from synthpairs.inference import best_device
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256

log = logging.getLogger(__name__)
RUNNER = Path(__file__).with_name("lmms_runner.py")
KEPT = ("results", "groups", "group_subtasks", "configs", "versions", "higher_is_better", "n-samples")  # of its report
DROPPED = ("input", "target", "resps", "doc_hash", "token_counts")  # of a sample: long, and nothing is made of them
LINES = 12  # of a failed task's log that are shown
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def ask_pictures(folder: Path, suite: Suite, params: Benchmark) -> Asked:
    """Numbers and answers of `suite.pictures` from the LLaVA in `folder`, a directory that transformers reads.

    A task that fails is a ValueError with the last lines of its log and where that lies.
    """
    if not suite.pictures:
        return Asked()
    for task in suite.pictures:
        if not re.fullmatch(r"[\w.-]+", task):
            raise ValueError(f"params.yaml: suite.pictures: {task!r} is no name of a task of lmms-eval")
    include = Path(suite.include) if suite.include else None
    if include and not include.is_dir():
        raise FileNotFoundError(f"params.yaml: suite.include: {include} is no directory")
    python = lmms_python()
    engine = f"lmms-eval {lmms_version(python)}"
    shaping = (engine, file_sha256(LOCK), file_sha256(RUNNER), file_sha256(folder), suite.limit)
    store = WorkStore("benchmark", digest(*shaping, include and file_sha256(include)))
    found = Asked()
    with store.locked():
        for task in suite.pictures:
            stored = store.get(f"{task}.json")
            if stored is None:
                reported = _run(python, task, folder, suite, store.path / task)
                store.put(f"{task}.json", json.dumps(reported).encode())
                shutil.rmtree(store.path / task)
            else:
                reported = json.loads(stored)
            found |= asked_of(task, reported["results"], reported["samples"], engine, params)
    return found


def _run(python: Path, task: str, folder: Path, suite: Suite, into: Path) -> dict[str, Any]:
    """One task's results and samples, from a process that works in the empty directory `into` and logs there."""
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    for owner in local_owners():
        (into / owner.name).symlink_to(owner)  # `load_dataset("OWNER/NAME")` looks into the working directory first
    device = best_device().type
    command = [str(python), str(RUNNER), "--model", "synthpairs_llava", "--tasks", task, "--batch_size", "1"]
    command += ["--model_args", f"pretrained={folder.absolute()},device={device},device_map={device}"]
    command += ["--output_path", "out", "--log_samples"]
    command += ["--limit", str(suite.limit)] if suite.limit else []
    command += ["--include_path", str(Path(suite.include).absolute())] if suite.include else []
    said = into / "log.txt"
    log.info("%s: lmms-eval asks, its log is %s", task, said)
    started = time.monotonic()
    with (
        said.open("wb") as out,
        subprocess.Popen(command, cwd=into, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT) as child,
    ):
        code = child.wait()  # it ends when this process does: see its end_with_stage
    written = sorted(into.glob("out/*/*_results.json"))
    if code or not written:  # lmms-eval ends with 0 after most errors
        raise ValueError(f"lmms-eval: {task} failed (all of its log is in {said}): {_end(said)}")
    samples = {}
    for file in written[0].parent.glob("*_samples_*.jsonl"):
        name = file.stem.partition("_samples_")[2]
        with file.open(encoding="utf-8") as lines:
            samples[name] = [_without(json.loads(line), DROPPED) for line in lines]
    results = json.loads(written[0].read_text(encoding="utf-8"))
    log.info("%s: %d answers in %.0f s", task, sum(map(len, samples.values())), time.monotonic() - started)
    return {"results": {key: results[key] for key in KEPT if key in results}, "samples": samples}


def _without(sample: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in sample.items() if name not in names}


def _end(path: Path) -> str:
    """The last lines of a log, without its colours and progress bars."""
    text = _COLOUR.sub("", path.read_text(encoding="utf-8", errors="replace"))
    lines = [line.rpartition("\r")[2].strip() for line in text.splitlines()]
    return " | ".join([line for line in lines if line and not set(line) <= set("^~ ")][-LINES:])
