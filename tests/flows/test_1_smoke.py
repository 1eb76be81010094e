"""The whole pipeline runs once with the smoke preset; then nothing is left to do, and commands read the results."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pandas as pd
import pytest

from synthpairs.core.config import flatten
from tests.flows.project import executed, ran
from tests.pipeline import within


def answer(url, server):
    """Response of a server, once it listens."""
    while True:
        assert server.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return response.read().decode()
        except urllib.error.URLError:
            time.sleep(0.2)


def mlflow_client(project):
    from mlflow.client import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{project.path / 'mlflow.db'}")


def execution(client, experiment):
    """Parent run of a DVC experiment, and the runs of its stages by name; each stage has one."""
    (recorded,) = (one for one in client.search_experiments() if one.name == "synthpairs")
    runs = client.search_runs([recorded.experiment_id], max_results=1000)
    (parent,) = (
        run
        for run in runs
        if run.data.tags.get("dvc.exp", "") == experiment and "mlflow.parentRunId" not in run.data.tags
    )
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    by_name = {run.info.run_name: run for run in children}
    assert len(by_name) == len(children)
    return parent, by_name


def test_every_stage_runs_and_only_results_change(smoke, stages):
    assert sorted(ran(smoke.printed)) == sorted(stage.address for stage in stages)
    results = {out for stage in stages for out in stage.uncached} | {"dvc.lock"}
    assert [path for path in smoke.changed if not any(within(path, out) or within(out, path) for out in results)] == []


def test_a_stage_reads_only_its_deps(smoke, stages):
    """Else it could start before a file exists, and would not run again when it changes."""
    problems = []
    for stage in stages:
        assert smoke.reads[stage.address], f"{stage.address} left no log"
        known = stage.deps | stage.cached | stage.uncached
        for path in sorted(smoke.reads[stage.address]):
            if path.startswith(("data/", "models/", "reports/")) and not any(within(path, name) for name in known):
                problems.append(f"{stage.address}: {path}")
    assert "reports/perplexity.json" in smoke.reads["report"]
    assert not problems, "\n".join(problems)


def test_no_training_contains_held_out_drawings(smoke):
    """By the drawings of each row in the tables that the pipeline wrote."""
    data = smoke.project.path / "data"
    drawings = pd.read_parquet(data / "emoji/drawings.parquet").set_index("drawing")
    splits = {}
    for path in sorted(data.glob("*/*.parquet")):
        table = pd.read_parquet(path)
        if "drawings" in table:
            shown = {drawing for row in table["drawings"] for drawing in row}
            splits[path.relative_to(data).as_posix()] = set(drawings.loc[sorted(shown), "split"])
    benchmarks = {name: split for name, split in splits.items() if name.startswith("tasks/desk_")}
    training = {name: split for name, split in splits.items() if name not in benchmarks}
    assert {"tasks/instructions.parquet", "captions/kept.parquet"} <= set(training)
    assert benchmarks
    assert all(split <= {"train"} for split in training.values()), training
    assert all(split <= {"heldout_combination", "heldout_style"} for split in benchmarks.values()), benchmarks


def test_mlflow_holds_the_execution_and_each_of_its_stages(smoke, stages):
    """The stages ran without MLflow, and `make repro` recorded them; experiment `ssim` runs some of them with it."""
    assert f" {len(stages)} added" in smoke.again
    client = mlflow_client(smoke.project)
    parent, children = execution(client, "")
    assert set(children) == {stage.address for stage in stages}
    assert {run.info.status for run in (parent, *children.values())} == {"FINISHED"}
    assert parent.data.params["select.num_pairs"] == children["select"].data.params["select.num_pairs"] == "12"
    for name in ("select", "finetune@real"):
        numbers = json.loads((smoke.project.path / f"reports/metrics/{name.replace('@', '/')}.json").read_text())
        numbers = {key: value for key, value in numbers.items() if isinstance(value, int | float)}
        assert numbers
        logged = children[name].data.metrics
        assert {key: logged.get(key) for key in numbers} == pytest.approx(numbers)
    numbers = json.loads((smoke.project.path / "reports/headline.json").read_text())
    assert parent.data.metrics == pytest.approx(flatten(numbers, "/"))
    assert "#/experiments/1/runs" in smoke.again
    artifacts = [item.path for item in client.list_artifacts(children["report"].info.run_id, "reports")]
    assert "reports/README.md" in artifacts
    smoke.project.run("python -m synthpairs mlflow-sync")  # of the latest commit
    assert " 0 added" in smoke.project.run("python -m synthpairs mlflow-sync"), "nothing is added twice"


def test_nothing_is_left_to_do(smoke):
    project = smoke.project
    assert ran(smoke.again) == []
    changed = json.loads(project.run("dvc status --json"))
    assert [address for address in changed if ":" not in address] == []
    assert ran(project.run("dvc repro images select export pretrain finetune benchmark gallery")) == []
    assert project.changes() == []


def test_cached_work_can_be_deleted_and_captions_made_again_are_the_same(smoke):
    project = smoke.project
    assert "freed " not in project.run("python -m synthpairs clean"), "all stores are of this code"
    assert list((project.path / ".dvc/tmp/work").rglob("*.tar"))
    project.run("python -m synthpairs clean --all")
    assert list((project.path / ".dvc/tmp/work").rglob("*.tar")) == []
    assert ran(project.run("dvc repro --force --single-item captions")) == ["captions"]
    assert ran(project.run("dvc repro")) == []
    assert project.changes() == []


def test_mlflow_shows_its_pages(smoke):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = "mlflow ui --backend-store-uri sqlite:///mlflow.db"
    executed.append(command)
    with subprocess.Popen(
        [*command.split(), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"],
        cwd=smoke.project.path, env=smoke.project.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        process_group=0,
    ) as server:  # fmt: skip
        try:
            assert "<html" in answer(f"http://127.0.0.1:{port}/", server)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
    assert smoke.project.changes() == []


def test_commands_about_the_run(smoke):
    project = smoke.project
    assert "FAIL" not in project.run("python -m synthpairs doctor")
    estimated = project.run("python -m synthpairs estimate --captions 1000000 --gpu H100 --gpus 8 --price 2.5")
    assert "1,000,000 captions" in estimated
    assert "| images " in estimated
    assert "images" in project.run("python -m synthpairs estimate --measure")
    assert "12 images" in project.run("python -m synthpairs preview 12")
    key = pd.read_parquet(project.path / "data/export/selected.parquet")["key"][0]
    assert "the same bytes" in project.run(f"python -m synthpairs replay {key}")
    project.run("python -m synthpairs vote --summary")
    project.run("dvc plots show")
    assert "flowchart" in project.run("dvc dag --md")
    assert project.changes() == []
