"""A stage of two sections, and workspaces whose runs go to one MLflow database, because creating it takes seconds."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from synthpairs.runtime.launch import GROUP
from synthpairs.runtime.mlflow_store import Execution, Store
from synthpairs.runtime.stage import stage

ROOT = Path(__file__).parents[2]
SECTION = {"count": 3, "inner": {"rate": 0.5, "words": ["a", "b"]}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    rate: float
    words: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    count: int
    inner: Inner


@stage(metrics="reports/metrics/emoji.json")
def draw(emoji: Params, world: list[str]):
    return {"drawings": emoji.count, "split": {"train": 2}, "words": world}, {"per_second": 7.5}


def run_as(name, monkeypatch, function=dict):
    """Run a stage of this name whose metrics the function returns."""

    @stage()
    def main(emoji: Params):
        return function()

    monkeypatch.setenv("DVC_STAGE", name)
    main()


@pytest.fixture(scope="package")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def workspace(root, tmp_path, monkeypatch):
    """An empty workspace whose DVC root, and so database, is elsewhere; its params.yaml gives it a parent run of its own."""
    variables = ["SYNTHPAIRS_TRACKING", "MLFLOW_TRACKING_URI", "DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"]
    for name in [*variables, GROUP]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.setattr("synthpairs.runtime.tracking._curves", {})  # of trainings in other tests
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps({"emoji": SECTION, "world": ["dog"], "of": str(tmp_path)}))
    yield tmp_path
    shutil.rmtree(root / ".dvc/tmp/mlflow-failures", ignore_errors=True)


def parent_and_children():
    """The parent run of this workspace and its children, oldest first."""
    store = Store(Execution.current())
    query = f"tags.`mlflow.parentRunId` = '{store.parent}'"
    return store.client.get_run(store.parent), store.client.search_runs(["1"], query, order_by=["start_time ASC"])


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
