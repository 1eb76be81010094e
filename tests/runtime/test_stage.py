"""The frame around stages: what they get and write, their runs in MLflow, the sync with dvc.lock, and how they end."""

import json
import logging
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import pytest
from dvc.repo import Repo

from synthpairs.runtime import mlflow_store
from synthpairs.runtime.mlflow_store import Execution, Store, mlflow_names
from synthpairs.runtime.mlflow_sync import sync
from synthpairs.runtime.stage import GROUP, failure_marker, stage, stage_run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Nested section."""

    rate: float
    words: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """A stage's section."""

    count: int
    inner: Inner


PARAMS = Params(count=3, inner=Inner(rate=0.5, words=["a", "b"]))
SECTION = {"count": 3, "inner": {"rate": 0.5, "words": ["a", "b"]}}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """One DVC root, and so one database, for the whole module: making it takes seconds."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture
def workspace(root, tmp_path, monkeypatch):
    """An empty workspace whose runs go to the shared database; its params.yaml gives it a parent of its own."""
    variables = ["SYNTHPAIRS_TRACKING", "MLFLOW_TRACKING_URI", "DVC_STAGE", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"]
    for name in [*variables, GROUP]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(json.dumps({"art": SECTION, "world": ["dog"], "of": str(tmp_path)}))
    yield tmp_path
    shutil.rmtree(root / ".dvc/tmp/mlflow-failures", ignore_errors=True)


def parent_and_children():
    """The pipeline execution of this workspace and its children, oldest first."""
    store = Store(Execution.current())
    query = f"tags.`mlflow.parentRunId` = '{store.parent}'"
    return store.client.get_run(store.parent), store.client.search_runs(["1"], query, order_by=["start_time ASC"])


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_importing_it_costs_nothing_heavy():
    code = "import sys, synthpairs.runtime.stage; print({'mlflow', 'torch', 'sqlalchemy', 'dvc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@stage(metrics="reports/metrics/art.json")
def draw(art: Params, world: list[str]):
    return {"drawings": art.count, "split": {"train": 2}, "words": world}, {"per_second": 7.5}


@stage(metrics="reports/metrics/align/{arm}.json", arm=lambda arguments: arguments[0])
def align(arm: str, art: Params):
    return {"loss@end": 0.25, "arm": arm}


def test_a_stage_gets_its_sections_writes_its_metrics_and_is_recorded(workspace, monkeypatch):
    draw()
    monkeypatch.setattr(sys, "argv", ["stages/align.py", "real"])
    align()
    monkeypatch.setenv("DVC_STAGE", "align-codes@genpair")
    align()
    written = Path("reports/metrics/art.json").read_text()
    assert written == json.dumps({"drawings": 3, "split": {"train": 2}, "words": ["dog"]}, indent=2) + "\n"
    assert json.loads(Path("reports/metrics/align/real.json").read_text()) == {"loss@end": 0.25, "arm": "real"}
    parent, (first, second, third) = parent_and_children()
    assert [run.info.run_name for run in (second, third)] == ["align@real", "align-codes@genpair"]
    assert third.data.tags["dvc.stage"] == "align-codes@genpair"
    assert first.data.params == {"count": "3", "inner.rate": "0.5", "inner.words": '["a", "b"]'}
    assert parent.data.params["art.inner.rate"] == "0.5"
    measured = {name: value for name, value in first.data.metrics.items() if name[:4] != "run/"}
    assert measured == {"drawings": 3, "split/train": 2}, "text is no metric"
    assert first.data.metrics["run/per_second"] == 7.5
    assert min(first.data.metrics[f"run/{name}"] for name in ("seconds", "peak_memory_gib")) > 0
    assert second.data.metrics["loss.end"] == 0.25
    assert {run.info.status for run in (parent, first, second)} == {"FINISHED"}
    assert first.data.tags["git.dirty"] == "false"
    assert parent.info.start_time <= first.info.start_time <= first.info.end_time <= second.info.start_time + 1


def test_what_is_wrong_with_a_section_ends_a_stage_before_its_work(workspace):
    Path("params.yaml").write_text(json.dumps({"art": SECTION}))
    with pytest.raises(ValueError, match=r"params\.yaml: section 'world' is missing"):
        draw()


def test_of_several_processes_only_the_main_one_writes_and_records(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("RANK", "1")
    draw()
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_off_leaves_no_trace_in_mlflow(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    draw()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml", "reports"]


def test_changed_params_and_another_experiment_make_another_parent(workspace, monkeypatch):
    first, _ = parent_and_children()
    again, _ = parent_and_children()
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    experiment, _ = parent_and_children()
    with stage_run("art", PARAMS):  # what it is edited to now is for the next run
        Path("params.yaml").write_text("art: {size: 4}\n")
    changed, children = parent_and_children()
    assert first.info.run_id == again.info.run_id
    assert len({first.info.run_id, experiment.info.run_id, changed.info.run_id}) == 3
    assert experiment.info.run_name.startswith("trial-")
    assert children == []


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_a_stage_that_ends_early_says_so_and_its_error_passes(workspace, error, status):
    Path("reports/gallery").mkdir(parents=True)
    with pytest.raises(error), stage_run("gallery", PARAMS):
        raise error
    parent, (run,) = parent_and_children()
    assert (run.info.status, parent.info.status) == (status, status)
    assert Store(Execution.current()).client.list_artifacts(run.info.run_id) == []


@pytest.fixture
def silent_server():
    """Address of a server that accepts and never answers."""
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
def test_what_is_wrong_with_mlflow_costs_the_first_stage_seconds_and_a_warning_and_the_others_nothing(
    workspace, tmp_path, monkeypatch, caplog, silent_server, address, reason
):
    Path("text").write_text("no database\n" * 100)
    if address == "absent":
        monkeypatch.setitem(sys.modules, "mlflow.client", None)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(folder=tmp_path, silent_server=silent_server))
    started = time.monotonic()
    for name in ("art", "tasks"):
        with stage_run(name, PARAMS):
            pass
    assert time.monotonic() - started < 60, "MLflow itself tries a database for two minutes"
    (warning,) = warnings(caplog)
    assert warning.startswith("art and what follows in this run are not recorded: MLflow is not usable")
    assert reason in warning
    assert "sesame" not in warning


def test_mlflow_is_asked_again_in_another_run_at_another_address_and_after_an_hour(workspace, monkeypatch, caplog):
    code = "from synthpairs.runtime.stage import failure_marker; print(failure_marker())"

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


def test_a_run_is_ended_whatever_mlflow_refuses(workspace, monkeypatch, caplog):
    monkeypatch.setattr(mlflow_store, "NAME_LENGTH", 1000)
    with stage_run("art", PARAMS) as run:
        run.log({"x" * 999: 1})
    parent, (art,) = parent_and_children()
    assert (parent.info.status, art.info.status) == ("FINISHED", "FINISHED")
    assert len(warnings(caplog)) == 1


def test_artifacts_that_cannot_be_kept_are_one_warning_and_the_numbers_stay(workspace, root, caplog):
    Path("reports").mkdir()
    Path("reports/README.md").write_text("page")
    blocked = root / "mlruns"
    kept = blocked.rename(root / "kept") if blocked.exists() else None
    blocked.write_text("no directory")
    for _ in range(2):
        with stage_run("report", PARAMS) as run:
            run.log({"pictures": 3})
    blocked.unlink()
    if kept:
        kept.rename(blocked)
    (warning,) = warnings(caplog)
    assert warning.startswith("artifacts are not kept in this run: MLflow is not usable (")
    parent, runs = parent_and_children()
    assert [run.data.metrics["pictures"] for run in runs] == [3, 3]
    assert {run.info.status for run in (parent, *runs)} == {"FINISHED"}


ODD_NAMES = [
    "..", ".", "", "/", "/absolute", "a//b", "a/./b", "a/../b", "a/", "...", "..hidden", "http://x.example/y.jpg", "a:b",
    "a@b", "a.b", "a b", "a\nb", "ä/é", "x" * 300 + "1", "x" * 300 + "2", "y/" * 150, "z/." * 100,
]  # fmt: skip


def test_no_name_and_no_value_loses_the_others(workspace, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # as a server may be set
    metrics = {"by_source": {name: number for number, name in enumerate(ODD_NAMES)}}
    metrics |= {"huge": 10**400, "nan": float("nan")} | {str(number): number for number in range(1500)}
    params = dict.fromkeys(ODD_NAMES, "long" * 2000) | {"nul": "a\0b"} | {f"p{number}": number for number in range(150)}
    Store(Execution.current()).add_run("art", "FINISHED", params, metrics)
    _, (art,) = parent_and_children()
    assert len(art.data.params) == len(params)
    assert len(art.data.params["a b"]) == 6000
    numbers = [value for name, value in art.data.metrics.items() if name.startswith("by_source/")]
    assert sorted(numbers) == list(range(len(ODD_NAMES)))
    assert art.data.metrics["1499"] == 1499
    assert mlflow_names(["a@b", "http://x.example/y.jpg", "by/.."]) == {
        "a@b": "a.b",
        "http://x.example/y.jpg": "http./_/x.example/y.jpg",
        "by/..": "by/_..",
    }


PROGRAM = """
import logging, os, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
from synthpairs.runtime.stage import run_stage, stage_run

@dataclass
class Section:
    size: int

def main():
    with stage_run("report", Section(3)) as run:
        logging.getLogger(__name__).info("working")
        try:
            {body}
        finally:
            Path("cleaned").touch()

run_stage(main)
"""


def stage_process(folder, body="pass", **env):
    """A stage in a process of its own, whose root is the folder that it runs in."""
    (folder / "stage.py").write_text(PROGRAM.replace("{body}", body))
    (folder / "params.yaml").write_text("size: 3\n")
    return subprocess.Popen(
        [sys.executable, "stage.py"],
        cwd=folder,
        env=os.environ | {"DVC_ROOT": str(folder), "PYTHONPATH": str(ROOT), "SYNTHPAIRS_LOG": "info"} | env,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    )


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.usefixtures("workspace")
def test_two_processes_may_create_the_database_at_once_in_a_folder_of_any_name(tmp_path):
    project = tmp_path / "a%20b%2Fc%(d)s?e#f g;h"
    (project / "reports").mkdir(parents=True)
    (project / "reports/README.md").write_text("page")
    both = [stage_process(project, SYNTHPAIRS_LOG="warning") for _ in range(2)]
    assert [process.communicate()[1] for process in both] == ["", ""]
    made = {path.name for path in project.iterdir()} - {"cleaned", "params.yaml", "reports", "stage.py", ".dvc"}
    assert made == {"mlflow.db", "mlruns"}
    assert [path.read_text() for path in project.rglob("mlruns/**/README.md")] == ["page", "page"]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [project]


def lock_of(stages, gone=()):
    """A dvc.lock with a metrics file per stage, as DVC writes it; dvc.yaml has all of them but those that are gone."""
    if not Path(".dvc").exists():
        Repo.init(no_scm=True).close()
    names = {name: {"cmd": "true"} for name in stages if name not in gone and "@" not in name}
    arms = {name.split("@")[0]: {"foreach": ["selected"], "do": {"cmd": "true"}} for name in stages if "@" in name}
    Path("dvc.yaml").write_text(json.dumps({"stages": names | arms}))
    entries = {}
    for name, rate in stages.items():
        path = Path(f"reports/metrics/{name.split('@')[0]}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rate": rate}))
        deps = [{"path": "data/raw", "md5": "a" * 32 + ".dir"}, {"path": "stages/x.py", "md5": "b" * 32}]
        outs = [{"path": str(path), "md5": md5(path.read_bytes()).hexdigest()}]
        entries[name] = {"cmd": "true", "deps": deps, "params": {"params.yaml": {"x.weight": 0.5}}, "outs": outs}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": entries}))


def test_sync_adds_what_dvc_restored_and_is_idempotent(workspace, caplog):
    with stage_run("art", PARAMS) as run:
        run.log({"rate": 1})
    lock_of({"art": 1.0, "align@selected": 2.0})
    sync()
    sync()
    parent, (art, align) = parent_and_children()
    assert "dvc.restored" not in art.data.tags
    assert align.data.tags["dvc.restored"] == "true"
    assert align.data.params == {"x.weight": "0.5"}
    assert align.data.metrics == {"rate": 2.0}
    assert parent.data.metrics == {"art/rate": 1.0, "align.selected/rate": 2.0}
    assert len(art.data.tags["dvc.out.reports/metrics/art.json"]) == 32
    assert [entry.dataset.name for entry in align.inputs.dataset_inputs] == ["data/raw"]
    assert parent.info.status == align.info.status == "FINISHED"
    assert warnings(caplog) == []


def test_what_people_look_at_is_kept_with_the_run(workspace):
    for page in ("gallery/index.html", "gallery/pictures/a.webp", "README.md", "experiments/learning_curves.png"):
        path = Path("reports") / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page)
    with stage_run("gallery", PARAMS):
        pass
    lock_of({"gallery": 1.0, "report": 2.0})
    sync()
    _, (gallery, report) = parent_and_children()
    client = Store(Execution.current()).client

    def kept(run, folder):
        return [entry.path for entry in client.list_artifacts(run.info.run_id, folder)]

    assert kept(gallery, "reports/gallery") == ["reports/gallery/index.html", "reports/gallery/pictures"]
    assert kept(report, "reports") == ["reports/README.md", "reports/experiments"], "restored, so `sync` kept it"


def test_sync_records_an_older_state_that_came_back_and_nothing_that_is_no_longer_so(workspace, caplog):
    """DVC keeps stages in dvc.lock that dvc.yaml has lost; numbers that dvc.lock does not vouch for are not recorded."""
    lock_of({"art": 1.0})
    sync()
    lock_of({"art": 3.0, "gone": 2.0}, gone=["gone"])
    sync()
    lock_of({"art": 4.0})
    Path("reports/metrics/art.json").write_text('{"rate": 9}')
    sync()
    parent, runs = parent_and_children()
    assert [run.info.run_name for run in runs] == ["art"] * 3
    assert [run.data.metrics.get("rate") for run in runs] == [1.0, 3.0, None]
    assert parent.data.metrics == {"art/rate": 3.0}
    assert "reports/metrics/art.json differs from dvc.lock" in warnings(caplog)[0]


def test_sync_without_mlflow_warns_and_without_a_lock_says_what_to_run(workspace, monkeypatch, caplog):
    with pytest.raises(FileNotFoundError, match=r"dvc\.lock is missing: run `dvc repro` first"):
        sync()
    lock_of({"art": 1.0})
    monkeypatch.setitem(sys.modules, "mlflow.client", None)
    sync()
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(
    ("body", "variables", "line"),
    [
        ("raise ValueError('params.yaml: x.y must be\\n  >= 1')", {}, "params.yaml: x.y must be >= 1"),
        ("open('nowhere')", {}, "[Errno 2] No such file or directory: 'nowhere'"),
        ("pass", {"SYNTHPAIRS_LOG": "loud"}, "SYNTHPAIRS_LOG must be one of debug, info, warning, error, got 'loud'"),
        ("pass", {"SYNTHPAIRS_TRACKING": "0"}, "SYNTHPAIRS_TRACKING must be on or off, got '0'"),
    ],
)
def test_errors_that_users_can_mend_end_as_one_line(tmp_path, body, variables, line):
    process = stage_process(tmp_path, body, **{"SYNTHPAIRS_TRACKING": "off"} | variables)
    lines = process.communicate()[1].splitlines()
    assert process.returncode == 1
    assert lines[-1].endswith(f"ERROR __main__: stage: error: {line}")
    assert [line[9:] for line in lines[:-1]] == ([] if variables else ["INFO __main__: working"])


def test_a_traceback_can_be_asked_for_and_a_bug_always_shows_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    assert "Traceback" in stage_process(tmp_path, "raise ValueError", SYNTHPAIRS_LOG="debug").communicate()[1]
    process = stage_process(tmp_path, "raise KeyError('bug')")
    assert "Traceback" in process.communicate()[1]
    assert process.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_unwinds_the_stage_which_is_recorded_as_killed(workspace, number, code):
    process = stage_process(workspace, "Path('started').touch(); time.sleep(60)")
    wait_for((workspace / "started").exists)
    process.send_signal(number)
    assert "Traceback" not in process.communicate()[1]
    assert process.returncode == code
    assert (workspace / "cleaned").exists()
    with sqlite3.connect("mlflow.db") as database:
        runs = database.execute("SELECT name, status FROM runs WHERE name = 'report'").fetchall()
    assert runs == [("report", "KILLED")]


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death signal is a feature of Linux")
def test_a_killed_dvc_takes_its_stage_along(tmp_path):
    command = [sys.executable, "stage.py"]
    (tmp_path / "params.yaml").touch()
    (tmp_path / "stage.py").write_text(PROGRAM.replace("{body}", "Path('started').touch(); time.sleep(60)"))
    code = f"import subprocess; subprocess.run({command})"
    env = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "art", "SYNTHPAIRS_TRACKING": "off"}
    dvc = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "started").exists)
    dvc.kill()
    dvc.wait()
    wait_for((tmp_path / "cleaned").exists)
