"""The frame of stages: their params and metrics, their runs in MLflow, and how they end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synthpairs.runtime.mlflow_store import Execution, Store
from synthpairs.runtime.stage import stage
from synthpairs.runtime.tracking import log_curve
from tests.runtime.conftest import ROOT, SECTION, Params, draw, parent_and_children, run_as


@stage(metrics="reports/metrics/pretrain/{arm}.json", arm=lambda arguments: arguments[0])
def pretrain(arm: str, emoji: Params):
    log_curve("loss", [0.5, 0.25])
    return {"loss@end": 0.25, "arm": arm}


def test_a_stage_gets_its_sections_writes_its_metrics_and_is_recorded(workspace, monkeypatch):
    draw()
    monkeypatch.setattr(sys, "argv", ["stages/pretrain.py", "real"])
    pretrain()
    monkeypatch.setenv("DVC_STAGE", "pretrain_tokens@genpair")
    pretrain()
    written = Path("reports/metrics/emoji.json").read_text()
    assert written == json.dumps({"drawings": 3, "split": {"train": 2}, "words": ["dog"]}, indent=2) + "\n"
    assert json.loads(Path("reports/metrics/pretrain/real.json").read_text()) == {"loss@end": 0.25, "arm": "real"}
    parent, (first, second, third) = parent_and_children()
    assert [run.info.run_name for run in (second, third)] == ["pretrain@real", "pretrain_tokens@genpair"]
    assert third.data.tags["dvc.stage"] == "pretrain_tokens@genpair"
    assert first.data.params == {"count": "3", "inner.rate": "0.5", "inner.words": '["a", "b"]'}
    assert parent.data.params["emoji.inner.rate"] == "0.5"
    measured = {name: value for name, value in first.data.metrics.items() if name[:4] != "run/"}
    assert measured == {"drawings": 3, "split/train": 2}, "text is no metric"
    assert first.data.metrics["run/per_second"] == 7.5
    assert min(first.data.metrics[f"run/{name}"] for name in ("seconds", "cpu_seconds", "peak_memory_gib")) > 0
    assert second.data.metrics["loss.end"] == 0.25
    curve = Store(Execution.current()).client.get_metric_history(second.info.run_id, "loss")
    assert [(one.step, one.value) for one in curve] == [(1, 0.5), (2, 0.25)]
    assert {run.info.status for run in (parent, first, second)} == {"FINISHED"}
    assert first.data.tags["git.dirty"] == "false"
    assert parent.info.start_time <= first.info.start_time <= first.info.end_time <= second.info.start_time + 1


def test_a_stage_says_its_place_and_how_long_it_takes(workspace, monkeypatch, caplog):
    """The committed figures are of all arms; those that params.yaml leaves out do not count."""
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    Path("params.yaml").write_text(json.dumps({"emoji": SECTION, "arms": ["real"]}))
    Path("perf").mkdir()
    names = ("emoji", "finetune@random", "finetune@real", "report")
    Path("perf/repro.json").write_text(json.dumps({"stages": {name: {"seconds": 59.6} for name in names}}))
    caplog.set_level("INFO")
    run_as("finetune@real", monkeypatch)
    run_as("finetune@real-tokens", monkeypatch)
    assert caplog.messages == ["stage 2 of 3, finetune@real: 60 s on two cores with the params as committed"]


def test_a_wrong_section_is_an_error_before_the_stage_starts(workspace):
    Path("params.yaml").write_text(json.dumps({"emoji": SECTION}))
    with pytest.raises(ValueError, match=r"params\.yaml: section 'world' is missing"):
        draw()


@pytest.mark.parametrize(
    ("variables", "written"),
    [({"LOCAL_RANK": "1", "RANK": "1"}, ["params.yaml"]), ({"SYNTHPAIRS_TRACKING": "off"}, ["params.yaml", "reports"])],
)
def test_only_rank_0_writes_and_without_tracking_nothing_goes_to_mlflow(workspace, monkeypatch, variables, written):
    for name, value in ({"DVC_ROOT": str(workspace)} | variables).items():
        monkeypatch.setenv(name, value)
    draw()
    assert sorted(path.name for path in workspace.iterdir()) == written


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_a_stage_that_raises_is_recorded_and_the_error_passes(workspace, monkeypatch, error, status):
    Path("reports/gallery").mkdir(parents=True)

    def fail():
        raise error

    with pytest.raises(error):
        run_as("gallery", monkeypatch, fail)
    parent, (run,) = parent_and_children()
    assert (run.info.status, parent.info.status) == (status, status)
    assert Store(Execution.current()).client.list_artifacts(run.info.run_id) == []


PROGRAM = """
import logging, os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
from synthpairs.runtime.stage import run_stage, stage

@dataclass
class Section:
    size: int

@stage()
def main(report: Section):
    logging.getLogger(__name__).info("working")
    try:
        {body}
    finally:
        Path("cleaned").touch()
    return {}

run_stage(main)
"""


def stage_process(folder, body="pass", **env):
    """A stage `report` in a process of its own, run in this folder as its root."""
    (folder / "report.py").write_text(PROGRAM.replace("{body}", body))
    (folder / "params.yaml").write_text("report: {size: 3}\n")
    return subprocess.Popen(
        [sys.executable, "report.py"],
        cwd=folder,
        env=os.environ | {"DVC_ROOT": str(folder), "PYTHONPATH": str(ROOT), "SYNTHPAIRS_LOG": "info"} | env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # it may be ignored where the tests run
    )


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("workspace")
def test_two_processes_may_create_the_database_at_once_in_a_folder_with_an_odd_name(tmp_path):
    project = tmp_path / "a%20b%2Fc%(d)s?e#f g;h"
    (project / "reports").mkdir(parents=True)
    (project / "reports/README.md").write_text("page")
    both = [stage_process(project, SYNTHPAIRS_LOG="warning") for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    created = {path.name for path in project.iterdir()} - {"cleaned", "params.yaml", "reports", "report.py", ".dvc"}
    assert created == {"mlflow.db", "mlruns"}
    assert [path.read_text() for path in project.rglob("mlruns/**/README.md")] == ["page", "page"]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [project]


@pytest.mark.parametrize(
    ("body", "variables", "line"),
    [
        ("raise ValueError('params.yaml: x.y must be\\n  >= 1')", {}, "params.yaml: x.y must be >= 1"),
        ("open('nowhere')", {}, "[Errno 2] No such file or directory: 'nowhere'"),
        ("pass", {"SYNTHPAIRS_LOG": "loud"}, "SYNTHPAIRS_LOG must be one of debug, info, warning, error; got 'loud'"),
        ("pass", {"SYNTHPAIRS_TRACKING": "0"}, "SYNTHPAIRS_TRACKING must be on or off, got 0"),
    ],
)
def test_errors_that_users_can_fix_end_as_one_line(tmp_path, body, variables, line):
    process = stage_process(tmp_path, body, **{"SYNTHPAIRS_TRACKING": "off"} | variables)
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 1
    assert lines[-1].endswith(f"ERROR __main__: report: error: {line}")
    assert [line[9:] for line in lines[:-1]] == ([] if variables else ["INFO __main__: working"])


@pytest.mark.parametrize(("body", "level"), [("raise ValueError", "debug"), ("raise KeyError('bug')", "info")])
def test_tracebacks_are_shown_of_bugs_and_with_log_debug(tmp_path, body, level):
    process = stage_process(tmp_path, body, SYNTHPAIRS_LOG=level, SYNTHPAIRS_TRACKING="off")
    assert "Traceback" in process.communicate()[1]
    assert process.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_unwinds_the_stage_and_it_is_recorded_as_killed(workspace, number, code):
    process = stage_process(workspace, "Path('started').touch(); time.sleep(60)")
    wait_for(workspace / "started")
    process.send_signal(number)
    assert "Traceback" not in process.communicate()[1]
    assert process.returncode == code
    assert (workspace / "cleaned").exists()
    with sqlite3.connect("mlflow.db") as database:
        runs = database.execute("SELECT name, status FROM runs WHERE name = 'report'").fetchall()
    assert runs == [("report", "KILLED")]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")
def test_a_stage_ends_when_dvc_is_killed(tmp_path):
    (tmp_path / "params.yaml").write_text("report: {size: 3}\n")
    (tmp_path / "report.py").write_text(PROGRAM.replace("{body}", "Path('started').touch(); time.sleep(60)"))
    code = f"import subprocess; subprocess.run({[sys.executable, 'report.py']})"
    env = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "report", "SYNTHPAIRS_TRACKING": "off"}
    dvc = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "started")
    dvc.kill()
    dvc.wait()
    wait_for(tmp_path / "cleaned")
