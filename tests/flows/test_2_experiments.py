"""Experiments as README.md has them: in the workspace, in a copy, in the queue; shown, compared, applied, and taken back."""

import csv
import io
import json
import time

import pandas as pd

from tests.flows.project import Smoke, ran
from tests.flows.test_1_smoke import mlflow_client


def shown(smoke: Smoke) -> dict[str, dict[str, str]]:
    """The table of experiments by name."""
    rows = csv.DictReader(io.StringIO(smoke.project.run("dvc exp show --csv --no-pager")))
    return {row["Experiment"] or row["rev"]: row for row in rows}


def test_another_strategy_runs_what_depends_on_the_selection(smoke: Smoke) -> None:
    printed = smoke.project.run("dvc exp run -n random -S select.strategy=random", seconds=2400)
    assert {"select", "align@selected", "benchmark@selected", "report"} <= set(ran(printed))
    assert not {"art", "captions", "images", "scores", "embed", "finetune-codes@genpair"} & set(ran(printed))
    assert "params.yaml" in smoke.project.changes()
    chosen = pd.read_parquet(smoke.project.path / "data/selected/selected.parquet")
    assert len(chosen) == 12
    (row,) = (row for name, row in shown(smoke).items() if name == "random")
    assert row["select.strategy"] == "random"
    client = mlflow_client(smoke.project)
    (experiment,) = (found for found in client.search_experiments() if found.name == "synthpairs")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    (parent,) = (
        run for run in runs if run.data.tags.get("dvc.exp") == "random" and "mlflow.parentRunId" not in run.data.tags
    )
    assert parent.info.run_name.startswith("random")
    assert parent.data.params["select.strategy"] == "random"
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert {run.info.run_name: run.info.status for run in children} == dict.fromkeys(ran(printed), "FINISHED")


def test_comparisons_of_the_workspace_with_the_commit(smoke: Smoke) -> None:
    """The workspace is still as `dvc exp run` left it."""
    project = smoke.project
    page = project.run("python -m synthpairs compare HEAD random workspace")
    assert "select.strategy" in page
    assert "desk_vqa" in page
    project.run("python -m synthpairs compare HEAD:real random:real --out reports/comparison.md")
    assert "desk_vqa" in (project.path / "reports/comparison.md").read_text()
    (project.path / "reports/comparison.md").unlink()
    assert json.loads(project.run("dvc params diff --json"))["params.yaml"]["select.strategy"] == {
        "old": "top",
        "new": "random",
    }
    assert "reports/metrics/select.json" in json.loads(project.run("dvc metrics diff --json"))
    assert "select.strategy" in project.run("dvc exp diff HEAD random")
    project.run("dvc plots diff HEAD random")
    assert "random" in (project.path / "dvc_plots/index.html").read_text()


def test_what_an_experiment_changed_is_taken_back_and_applied(smoke: Smoke) -> None:
    project = smoke.project
    project.run("git checkout -- .\ndvc checkout")
    assert project.changes() == []
    assert ran(project.run("dvc repro")) == []
    project.run("dvc exp apply random")
    assert json.loads(project.run("dvc params diff --json"))["params.yaml"]["select.strategy"]["new"] == "random"
    assert ran(project.run("dvc repro")) == []
    project.run("git checkout -- .\ndvc checkout")
    assert project.changes() == []


def test_experiments_in_a_copy_and_in_the_queue(smoke: Smoke) -> None:
    project = smoke.project
    project.run("dvc exp run --queue -n few -S gallery.limit=6")
    project.run("dvc exp run --queue -n wide -S report.columns=3")
    project.run("dvc queue start")
    assert ran(project.run("dvc exp run --temp -n reseeded -S report.seed=1")) == ["report"]
    deadline = time.monotonic() + 600
    while project.run("dvc queue status").count("Success") < 2:
        assert time.monotonic() < deadline, project.run("dvc queue status\ndvc queue logs few\ndvc queue logs wide")
        time.sleep(2)
    assert project.changes() == [], "nothing is changed in the workspace"
    table = shown(smoke)
    assert table["few"]["gallery.limit"] == "6"
    assert table["wide"]["report.columns"] == "3"
    assert table["reseeded"]["report.seed"] == "1"
    only = project.run("dvc exp show --only-changed --drop 'reports/metrics/tasks.*' --no-pager")
    assert "few" in only
    assert "gallery.limit" in only
    assert "tasks" not in only


def test_a_preset_is_tried_as_flags(smoke: Smoke) -> None:
    """The project has its values already."""
    assert ran(smoke.project.run("dvc exp run $(python -m synthpairs preset smoke --as-flags)")) == []
    smoke.project.run("git checkout -- .")
