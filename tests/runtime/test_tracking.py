"""Problems with MLflow never fail a stage; they cost a run of DVC seconds and one warning."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthpairs.runtime import mlflow_store
from synthpairs.runtime.launch import GROUP
from synthpairs.runtime.tracking import failure_marker
from tests.runtime.conftest import ROOT, draw, parent_and_children, run_as, warnings


@pytest.fixture
def silent_server():
    """Address of a server that accepts connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/text", "file is not a database"),
        ("http://me:sesame@127.0.0.1:9", "Connection refused"),
        ("http://{silent_server}", "timed out"),
        ("absent", "ModuleNotFoundError"),
    ],
)
def test_an_unusable_mlflow_costs_the_first_stage_seconds_and_a_warning_and_the_others_nothing(
    workspace, monkeypatch, caplog, silent_server, address, reason
):
    Path("text").write_text("no database\n" * 100)
    if address == "absent":
        monkeypatch.setitem(sys.modules, "mlflow.client", None)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(folder=workspace, silent_server=silent_server))
    started = time.monotonic()
    for name in ("emoji", "tasks"):
        run_as(name, monkeypatch)
    assert time.monotonic() - started < 60, "MLflow itself tries a database for two minutes"
    (warning,) = warnings(caplog)
    assert warning.startswith("emoji and what follows in this run are not recorded: MLflow is not usable")
    assert reason in warning
    assert "sesame" not in warning


def test_mlflow_is_tried_again_in_another_run_at_another_address_and_after_an_hour(workspace, monkeypatch):
    code = "from synthpairs.runtime.tracking import failure_marker; print(failure_marker())"

    def in_another_process(**options):
        command = [sys.executable, "-c", code]
        return Path(subprocess.check_output(command, cwd=ROOT, text=True, **options).strip())

    marker = failure_marker()
    assert in_another_process() == marker, "the stages of one run"
    assert in_another_process(process_group=0) != marker, "the next command typed in a shell"
    environment = os.environ | {GROUP: str(os.getpgrp())}
    assert in_another_process(process_group=0, env=environment) == marker, "as torchrun starts its processes"
    for variable in ("DVC_EXP_NAME", "MLFLOW_TRACKING_URI"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "another")
            assert failure_marker() != marker
    marker.parent.mkdir(parents=True)
    marker.touch()
    draw()
    assert parent_and_children()[1] == []
    os.utime(marker, (time.time() - 3700,) * 2)
    draw()
    assert len(parent_and_children()[1]) == 1


def test_a_run_is_ended_even_if_mlflow_refuses_its_metrics(workspace, monkeypatch, caplog):
    monkeypatch.setattr(mlflow_store, "NAME_LENGTH", 1000)
    run_as("emoji", monkeypatch, lambda: {"x" * 999: 1})
    parent, (emoji,) = parent_and_children()
    assert (parent.info.status, emoji.info.status) == ("FINISHED", "FINISHED")
    assert len(warnings(caplog)) == 1


def test_artifacts_that_cannot_be_stored_are_one_warning_and_the_metrics_stay(workspace, root, monkeypatch, caplog):
    Path("reports").mkdir()
    Path("reports/README.md").write_text("page")
    store = root / "mlruns"
    moved = store.rename(root / "moved") if store.exists() else None
    store.write_text("no directory")
    for _ in range(2):
        run_as("report", monkeypatch, lambda: {"pictures": 3})
    store.unlink()
    if moved:
        moved.rename(store)
    (warning,) = warnings(caplog)
    assert warning.startswith("artifacts are not kept in this run: MLflow is not usable (")
    parent, runs = parent_and_children()
    assert [run.data.metrics["pictures"] for run in runs] == [3, 3]
    assert {run.info.status for run in (parent, *runs)} == {"FINISHED"}
