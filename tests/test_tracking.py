"""MLflow runs of stages, their sync with dvc.lock, and how a stage process ends."""

import http.server
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import pytest
from dvc.repo import Repo

from synthpairs import recorder, tracking
from synthpairs.recorder import Recorder, Store, mlflow_names
from synthpairs.sync import sync
from synthpairs.tracking import GROUP, StageRun, failure_marker, flatten, stage_run

ROOT = Path(__file__).parents[1]


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
    Path("params.yaml").write_text(f"art: {{place: {tmp_path}, size: 3}}\n")
    return tmp_path


def parent_and_children():
    """The pipeline execution of this workspace and its children, oldest first."""
    store = Store.connect()
    parent = store.parent()
    query = f"tags.`mlflow.parentRunId` = '{parent}'"
    return store.client.get_run(parent), store.client.search_runs(["1"], query, order_by=["start_time ASC"])


def opened(failure, stage="art", params=None):
    """A recorder in this process, with the run of a stage in it: it need not import MLflow again."""
    run = Recorder()
    run.open(stage, params or {}, started=time.time(), failure=failure)
    return run


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_importing_it_costs_nothing_heavy():
    code = "import sys, synthpairs.tracking; print({'mlflow', 'torch', 'numpy', 'pandas', 'ruamel'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_flatten_joins_the_names_of_nested_dataclasses_and_mappings():
    assert flatten(PARAMS) == {"count": 3, "inner.rate": 0.5, "inner.words": ["a", "b"]}
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": 3}, "/") == {"a/b": 1, "a/c/d": 2, "e": 3}


def test_stages_of_one_execution_are_children_of_one_parent(workspace, monkeypatch):
    with stage_run("art", PARAMS) as run:
        run.log({"drawings": 5, "split": {"train": 3, "note": "text is no metric"}}, seconds=1.5)
    monkeypatch.setenv("DVC_STAGE", "align@selected")
    with stage_run("align", PARAMS) as run:
        run.log({"loss@end": 0.25})
    parent, (art, align) = parent_and_children()
    assert art.info.run_name == art.data.tags["dvc.stage"] == "art"
    assert align.info.run_name == "align@selected"
    assert art.data.params == {"count": "3", "inner.rate": "0.5", "inner.words": '["a", "b"]'}
    assert {name: value for name, value in art.data.metrics.items() if name != "run/peak_memory_gib"} == {
        "drawings": 5,
        "split/train": 3,
        "run/seconds": 1.5,
    }
    assert align.data.metrics["loss.end"] == 0.25
    assert art.data.metrics["run/peak_memory_gib"] > 0
    assert {run.info.status for run in (parent, art, align)} == {"FINISHED"}
    assert art.data.tags["git.dirty"] == "false"
    assert parent.data.params["art.size"] == "3"


def test_changed_params_and_another_experiment_make_another_parent(workspace, monkeypatch):
    first, _ = parent_and_children()
    again, _ = parent_and_children()
    monkeypatch.setenv("DVC_EXP_NAME", "trial")
    experiment, _ = parent_and_children()
    Path("params.yaml").write_text("art: {size: 4}\n")
    changed, _ = parent_and_children()
    assert first.info.run_id == again.info.run_id
    assert len({first.info.run_id, experiment.info.run_id, changed.info.run_id}) == 3
    assert experiment.info.run_name.startswith("trial-")


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_a_stage_that_ends_early_says_so_and_its_error_passes(workspace, error, status):
    with pytest.raises(error), stage_run("art", PARAMS):
        raise error
    parent, (run,) = parent_and_children()
    assert (run.info.status, parent.info.status) == (status, status)


def test_a_run_that_never_ended_is_marked_killed_when_its_stage_runs_again(workspace):
    opened(workspace / "failure")
    with stage_run("art", PARAMS):
        pass
    _, runs = parent_and_children()
    assert [run.info.status for run in runs] == ["KILLED", "FINISHED"]


def test_a_stage_that_is_killed_outright_is_recorded_as_killed(workspace):
    started = time.time()
    run = StageRun()
    run.open("art", PARAMS)
    run._recorder.stdin.close()  # what the kernel does for a process that has gone
    assert (run._recorder.stdout.read(), run._recorder.wait()) == ("", 0)
    parent, (child,) = parent_and_children()
    assert (child.info.status, parent.info.status) == ("KILLED", "KILLED")
    assert started - 1 < child.info.start_time / 1000 < started + 1  # not when MLflow was ready


def test_a_recorder_that_dies_or_never_ends_is_one_warning(workspace, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with stage_run("art", PARAMS) as run:
        run._recorder.kill()
        run._recorder.wait()
        run.log({"a": 1})
    (warning,) = warnings(caplog)
    assert warning.endswith("(ChildProcessError: the recorder ended with exit code -9)")
    caplog.clear()
    monkeypatch.setenv("DVC_EXP_NAME", "another")
    monkeypatch.setattr(tracking, "END_SECONDS", 0.1)
    with stage_run("art", PARAMS) as run:
        run._recorder.send_signal(signal.SIGSTOP)
    (warning,) = warnings(caplog)
    assert "TimeoutExpired" in warning
    assert run._recorder.wait() == -9


def test_off_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    with stage_run("art", PARAMS) as run:
        run.log({"a": 1}, seconds=1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_mlflow_is_one_warning(workspace, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    Path("mlflow.py").write_text("raise ImportError('not here')")  # comes first: the recorder runs in this directory
    with stage_run("art", PARAMS) as run:
        run.log({"a": 1})
    assert warnings(caplog) == [
        "art and what follows in this run are not recorded: MLflow is not usable (ImportError: not here)"
    ]


@pytest.fixture
def silent_server():
    """Address of a server that accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing_server():
    """Address of a server that asks for a password which nobody has."""

    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(401)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("sqlite:///{folder}", "unable to open database file"),
        ("sqlite:///{folder}/params.yaml", "file is not a database"),
        ("sqlite:///{folder}/params.yaml/mlflow.db", "File exists"),
        ("http://127.0.0.1:9", "Connection refused"),
        ("http://{silent_server}", "no answer within 2 s"),
        ("http://{refusing_server}", "401"),
        ("nonsense://nowhere", "nonsense://nowhere"),
    ],
)
def test_what_is_wrong_with_mlflow_costs_the_first_stage_seconds_and_a_warning_and_the_others_nothing(
    workspace, tmp_path, monkeypatch, caplog, silent_server, refusing_server, address, reason
):
    Path("params.yaml").write_text("# no database\n" * 100)
    addresses = {"folder": tmp_path, "silent_server": silent_server, "refusing_server": refusing_server}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(**addresses))
    started = time.monotonic()
    for stage in ("art", "tasks"):
        with stage_run(stage, PARAMS) as run:
            run.log({"a": 1})
    assert time.monotonic() - started < 60, "MLflow itself tries a database for two minutes"
    (warning,) = warnings(caplog)
    assert warning.startswith("art and what follows in this run are not recorded: MLflow is not usable")
    assert reason in warning
    assert run._recorder is None


def test_a_password_is_not_in_the_warning(workspace):
    with pytest.raises(ConnectionError, match=r"^http://127\.0\.0\.1:9: ") as caught:
        recorder.check("http://me:sesame@127.0.0.1:9")
    assert "sesame" not in str(caught.value)


def test_mlflow_is_asked_again_in_another_run_at_another_address_and_after_an_hour(workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    code = "from synthpairs.tracking import failure_marker; print(failure_marker())"

    def in_another_process(**options):
        command = [sys.executable, "-c", code]
        return Path(
            subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, **options).stdout.strip()
        )

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
    assert failure_marker().exists()
    os.utime(marker, (time.time() - 3700,) * 2)
    assert not failure_marker().exists()


def test_a_database_lost_half_way_is_one_warning(workspace, tmp_path, caplog):
    run = opened(tmp_path / "failure")
    run._run = "gone"
    run.log({"a": 1})
    run.log({"a": 2})
    assert len(warnings(caplog)) == 1


def test_a_run_is_ended_whatever_mlflow_refuses(workspace, tmp_path, monkeypatch, caplog):
    run = opened(tmp_path / "failure")
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "NAME_LENGTH", 1000)
        run.log({"x" * 999: 1})
    run.close("FINISHED")
    parent, (art,) = parent_and_children()
    assert (parent.info.status, art.info.status) == ("FINISHED", "FINISHED")
    assert len(warnings(caplog)) == 1


def test_artifacts_that_cannot_be_kept_are_one_warning_and_the_numbers_stay(workspace, root, tmp_path, caplog):
    Path("reports").mkdir()
    Path("reports/README.md").write_text("page")
    blocked = root / "mlruns"
    kept = blocked.rename(root / "kept") if blocked.exists() else None
    blocked.write_text("no directory")
    for _ in range(2):
        run = opened(tmp_path / "failure", "report")
        run.log({"pictures": 3})
        run.close("FINISHED")
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


def test_names_are_those_that_mlflow_takes_and_stay_different():
    from mlflow.utils.validation import _validate_param

    names = mlflow_names(ODD_NAMES)
    for name in names.values():
        assert _validate_param(name, "").key == name
    assert len(set(names.values())) == len(ODD_NAMES)
    assert names["a.b"] == "a.b"
    assert mlflow_names(["a@b", "http://x.example/y.jpg", "by/.."]) == {
        "a@b": "a.b",
        "http://x.example/y.jpg": "http./_/x.example/y.jpg",
        "by/..": "by/_..",
    }


def test_no_name_and_no_value_loses_the_others(workspace, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")  # as a server may be set
    run = opened(tmp_path / "failure", params=dict.fromkeys(ODD_NAMES, "long" * 2000) | {"nul": "a\0b"})
    places = {name: place for place, name in enumerate(ODD_NAMES)}
    run.log({"by_source": places, "huge": 10**400, "nan": float("nan")})
    run.log({str(number): number for number in range(1500)})
    run.close("FINISHED")
    parent, (art,) = parent_and_children()
    assert warnings(caplog) == []
    assert (parent.info.status, art.info.status) == ("FINISHED", "FINISHED")
    assert len(art.data.params) == len(ODD_NAMES) + 1
    assert len(art.data.params["a b"]) == 6000
    numbers = [value for name, value in art.data.metrics.items() if name.startswith("by_source/")]
    assert sorted(numbers) == list(range(len(ODD_NAMES)))
    assert art.data.metrics["1499"] == 1499


def test_a_project_may_lie_in_a_folder_of_any_name(workspace, tmp_path, monkeypatch, caplog):
    project = tmp_path / "a%20b%2Fc%(d)s?e#f g;h"
    (project / "reports").mkdir(parents=True)
    (project / "reports/README.md").write_text("page")
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(project)
    with stage_run("report", PARAMS):
        pass
    assert warnings(caplog) == []
    assert sorted(path.name for path in project.iterdir() if path.name[0] != ".") == ["mlflow.db", "mlruns", "reports"]
    assert [path.read_text() for path in project.rglob("mlruns/**/README.md")] == ["page"]
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [project]
    assert parent_and_children()[1][0].info.status == "FINISHED"


def test_a_lock_that_is_never_released_is_one_warning(workspace, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(recorder, "LOCK_SECONDS", 0.2)
    with recorder._only_one():
        opened(tmp_path / "failure")
    assert len(warnings(caplog)) == 1
    assert "mlflow.lock" in warnings(caplog)[0]


def test_two_processes_may_create_the_database_at_once(workspace, tmp_path):
    code = "from synthpairs.tracking import stage_run\nwith stage_run('art', {'a': 1}) as run: run.log({'x': 1})"
    env = os.environ | {"DVC_ROOT": str(tmp_path), "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], env=env, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    assert [process.communicate()[1] for process in both] == ["", ""]
    assert (tmp_path / "mlflow.db").exists()


def lock_of(stages, gone=()):
    """A dvc.lock with a metrics file per stage, as DVC writes it; dvc.yaml has all of them but those that are gone."""
    if not Path(".dvc").exists():
        Repo.init(no_scm=True).close()
    names = {name: {"cmd": "true"} for name in stages if name not in gone and "@" not in name}
    arms = {name.split("@")[0]: {"foreach": ["selected"], "do": {"cmd": "true"}} for name in stages if "@" in name}
    Path("dvc.yaml").write_text(json.dumps({"stages": names | arms}))
    lines = ["schema: '2.0'", "stages:"]
    for name, rate in stages.items():
        path = Path(f"reports/metrics/{name.split('@')[0]}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"rate": {rate}}}\n')
        lines += [
            f"  {name}:",
            "    cmd: python -m stages.x",
            "    deps:",
            f"    - {{path: data/raw, hash: md5, md5: {'a' * 32}.dir, size: 1}}",
            f"    - {{path: stages/x.py, hash: md5, md5: {'b' * 32}, size: 1}}",
            "    params: {params.yaml: {x.weight: 0.5}}",
            "    outs:",
            f"    - {{path: {path}, hash: md5, md5: {md5(path.read_bytes()).hexdigest()}, size: 1}}",
        ]
    Path("dvc.lock").write_text("\n".join(lines) + "\n")


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
    for page in (
        "reports/gallery/index.html",
        "reports/gallery/pictures/a.webp",
        "reports/README.md",
        "reports/curves.png",
    ):
        Path(page).parent.mkdir(parents=True, exist_ok=True)
        Path(page).write_text(page)
    with stage_run("gallery", PARAMS):
        pass
    lock_of({"gallery": 1.0, "report": 2.0})
    sync()
    _, (gallery, report) = parent_and_children()
    client = Store.connect().client

    def kept(run, folder):
        return [entry.path for entry in client.list_artifacts(run.info.run_id, folder)]

    assert kept(gallery, "reports/gallery") == ["reports/gallery/index.html", "reports/gallery/pictures"]
    assert kept(report, "reports") == ["reports/README.md", "reports/curves.png"], "restored, so `sync` kept it"
    with pytest.raises(ValueError, match="boom"), stage_run("report", PARAMS):
        raise ValueError("boom")
    failed = parent_and_children()[1][-1]
    assert failed.info.status == "FAILED"
    assert client.list_artifacts(failed.info.run_id) == []


def test_sync_records_an_older_state_that_came_back(workspace):
    lock_of({"art": 1.0})
    sync()
    lock_of({"art": 3.0})
    sync()
    parent, runs = parent_and_children()
    assert [run.data.metrics["rate"] for run in runs] == [1.0, 3.0]
    assert parent.data.metrics["art/rate"] == 3.0


def test_sync_does_not_record_numbers_that_dvc_lock_does_not_vouch_for(workspace, caplog):
    lock_of({"art": 1.0})
    Path("reports/metrics/art.json").write_text('{"rate": 9}')
    sync()
    assert parent_and_children()[1][0].data.metrics == {}
    assert "reports/metrics/art.json differs from dvc.lock" in warnings(caplog)[0]


def test_sync_leaves_out_stages_that_dvc_yaml_no_longer_has(workspace):
    """DVC keeps them in dvc.lock."""
    lock_of({"art": 1.0, "gallery": 2.0}, gone=["gallery"])
    sync()
    parent, runs = parent_and_children()
    assert [run.info.run_name for run in runs] == ["art"]
    assert parent.data.metrics == {"art/rate": 1.0}


def test_sync_without_mlflow_warns_and_without_a_lock_says_what_to_run(workspace, monkeypatch, caplog):
    with pytest.raises(FileNotFoundError, match=r"dvc\.lock is missing: run `dvc repro` first"):
        sync()
    lock_of({"art": 1.0})
    monkeypatch.setitem(sys.modules, "mlflow.client", None)
    sync()
    assert len(warnings(caplog)) == 1


STAGE = """
import logging, os, sys, time
from pathlib import Path
from synthpairs.tracking import run_stage

def main():
    logging.getLogger(__name__).info("working")
    try:
        {body}
    finally:
        Path("cleaned").touch()

run_stage(main)
"""


def stage_process(folder, body, **env):
    (folder / "stage.py").write_text(STAGE.format(body=body))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SYNTHPAIRS_LOG": "info", **env}
    return subprocess.Popen(
        [sys.executable, "stage.py"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever runs the tests may ignore it
    )


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise ValueError('params.yaml: x.y must be\\n  >= 1')", "params.yaml: x.y must be >= 1"),
        ("open('nowhere')", "[Errno 2] No such file or directory: 'nowhere'"),
    ],
)
def test_errors_that_users_can_mend_end_as_one_line(tmp_path, body, line):
    process = stage_process(tmp_path, body)
    shown = process.communicate()[1].splitlines()
    assert process.returncode == 1
    assert len(shown) == 2
    assert shown[0].endswith("INFO __main__: working")
    assert shown[1].endswith(f"ERROR __main__: stage: error: {line}")


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("SYNTHPAIRS_LOG", "verbose", "SYNTHPAIRS_LOG must be one of debug, info, warning, error, got 'verbose'"),
        ("SYNTHPAIRS_TRACKING", "0", "SYNTHPAIRS_TRACKING must be on or off, got '0'"),
    ],
)
def test_a_variable_of_the_environment_that_says_nothing_known_ends_as_one_line(tmp_path, variable, value, line):
    body = "with __import__('synthpairs.tracking').tracking.stage_run('art', {}): pass"
    process = stage_process(tmp_path, body, **{variable: value})
    assert process.communicate()[1].splitlines()[-1].endswith(f"ERROR __main__: stage: error: {line}")
    assert process.returncode == 1


def test_a_traceback_can_be_asked_for_and_a_bug_always_shows_one(tmp_path):
    assert "Traceback" in stage_process(tmp_path, "raise ValueError", SYNTHPAIRS_LOG="debug").communicate()[1]
    process = stage_process(tmp_path, "raise KeyError('bug')")
    assert "Traceback" in process.communicate()[1]
    assert process.returncode == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_unwinds_the_stage(tmp_path, number, code):
    process = stage_process(tmp_path, "Path('started').touch(); time.sleep(60)")
    wait_for((tmp_path / "started").exists)
    process.send_signal(number)
    shown = process.communicate()[1]
    assert process.returncode == code
    assert "Traceback" not in shown
    assert (tmp_path / "cleaned").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death signal is a feature of Linux")
def test_a_killed_dvc_takes_its_stage_along(tmp_path):
    (tmp_path / "stage.py").write_text(STAGE.format(body="Path('started').touch(); time.sleep(60)"))
    code = "import subprocess, sys; subprocess.run([sys.executable, 'stage.py'])"
    env = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "art"}
    dvc = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env, stderr=subprocess.DEVNULL)
    wait_for((tmp_path / "started").exists)
    dvc.kill()
    dvc.wait()
    wait_for((tmp_path / "cleaned").exists)
