"""Parent runs, database and lock, and names and values that MLflow refuses."""

import fcntl
from pathlib import Path

import pytest

from synthpairs.runtime import mlflow_store
from synthpairs.runtime.mlflow_store import Execution, Store, mlflow_names
from tests.runtime.conftest import parent_and_children, run_as

ODD_NAMES = [
    "..", ".", "", "/", "/absolute", "a//b", "a/./b", "a/../b", "a/", "...", "..hidden", "http://x.example/y.jpg", "a:b",
    "a@b", "a.b", "a b", "a\nb", "ä/é", "x" * 300 + "1", "x" * 300 + "2", "y/" * 150, "z/." * 100, "?", "\ud800",
]  # fmt: skip


def test_changed_params_and_another_experiment_make_another_parent(workspace, monkeypatch):
    def edit():
        Path("params.yaml").write_text("emoji: {size: 4}\n")  # affects the next run
        return {}

    first, _ = parent_and_children()
    again, _ = parent_and_children()
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    experiment, _ = parent_and_children()
    run_as("emoji", monkeypatch, edit)
    changed, children = parent_and_children()
    assert first.info.run_id == again.info.run_id
    assert len({first.info.run_id, experiment.info.run_id, changed.info.run_id}) == 3
    assert experiment.info.run_name.startswith("trial-")
    assert children == []


@pytest.mark.parametrize("uri", ["sqlite:///new/folder/runs.db", "sqlite:///{here}/absolute/runs.db?timeout=5"])
def test_the_folder_of_a_database_is_created(workspace, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(here=workspace))
    assert parent_and_children()[1] == []
    assert len(list(workspace.glob("*/**/runs.db"))) == 1


def test_waiting_for_another_process_has_an_end(workspace, root, monkeypatch):
    monkeypatch.setattr(mlflow_store, "LOCK_S", 0.2)
    path = root / ".dvc/tmp/mlflow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match=r"mlflow\.lock has been held by another process for 0.2 s"):
            Store(Execution.current())
    Store(Execution.current())


def test_odd_names_and_values_are_recorded_too(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # as some servers are configured
    metrics = {"by_source": {name: number for number, name in enumerate(ODD_NAMES)}}
    metrics |= {"huge": 10**400, "nan": float("nan")} | {str(number): number for number in range(1500)}
    params = dict.fromkeys(ODD_NAMES, "long" * 2000) | {"nul": "a\0b"} | {f"p{number}": number for number in range(150)}
    Store(Execution.current()).add_run("emoji", "FINISHED", params, metrics)
    _, (emoji,) = parent_and_children()
    assert len(emoji.data.params) == len(params)
    assert len(emoji.data.params["a b"]) == 6000
    numbers = [value for name, value in emoji.data.metrics.items() if name.startswith("by_source/")]
    assert sorted(numbers) == list(range(len(ODD_NAMES)))
    assert emoji.data.metrics["1499"] == 1499
    names = {"a@b": "a.b", "http://x.example/y.jpg": "http./_/x.example/y.jpg", "by/..": "by/_.."}
    assert mlflow_names(names) == names
