"""Stages side by side: what runs when, what dvc.lock says afterwards, and which accelerators each stage sees."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from synthpairs.__main__ import main
from synthpairs.repro import accelerators, outdated, reproduce, shares

# `left` and `right` each wait until the other has begun: one after the other they would wait for ever.
MEET = (
    "touch {mine}.begun; timeout 20 sh -c 'until test -e {other}.begun; do sleep 0.02; done'; cp {mine}.in {mine}.out"
)
PIPELINE = {
    "left": {"cmd": MEET.format(mine="left", other="right"), "deps": ["left.in"], "outs": ["left.out"]},
    "right": {"cmd": MEET.format(mine="right", other="left"), "deps": ["right.in"], "outs": ["right.out"]},
    "both": {"cmd": "cat left.out right.out > both.out", "deps": ["left.out", "right.out"], "outs": ["both.out"]},
    "size": {"cmd": "wc -c < both.out > size.out", "deps": ["both.out"], "outs": ["size.out"]},
    "last": {"cmd": "cp size.out last.out", "deps": ["size.out"], "outs": ["last.out"]},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DVC project with the pipeline above, and the current directory."""
    for name in ("site", "global", "system"):
        place = "DVC_SITE_CACHE_DIR" if name == "site" else f"DVC_{name.upper()}_CONFIG_DIR"
        monkeypatch.setenv(place, str(tmp_path / name))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    for name in ("DVC_ROOT", "DVC_STAGE", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    Repo.init(no_scm=True).close()
    write(PIPELINE)
    for name in ("left", "right"):
        Path(f"{name}.in").write_text(f"{name}\n")
    return folder


def write(stages: dict) -> None:
    YAML().dump({"stages": stages}, Path("dvc.yaml"))


def locked() -> dict:
    return YAML(typ="safe").load(Path("dvc.lock"))["stages"]


def test_stages_that_do_not_wait_for_each_other_run_at_the_same_time(project):
    assert set(reproduce([], 2)) == set(PIPELINE)
    assert Path("last.out").read_text().strip() == "11"


def test_dvc_lock_and_the_cache_are_as_after_dvc_repro(project):
    reproduce([], 2)
    ours = locked()
    Path("dvc.lock").unlink()
    with Repo() as repo:  # one after the other: what they wait for is there by now
        assert len(repo.reproduce(run_cache=False)) == len(PIPELINE)
        assert ours == locked()
        assert repo.status() == {}


def test_what_is_up_to_date_does_not_run_again(project):
    reproduce([], 2)
    assert reproduce([], 2) == []
    assert main(["repro"]) == 0
    written = {name: Path(f"{name}.out").stat().st_mtime_ns for name in ("right", "size", "last")}
    Path("left.in").write_text("kept\n")  # as many bytes, so `size` runs and `last` does not
    assert set(reproduce([], 2)) == {"left", "both", "size", "last"}
    assert Path("both.out").read_text() == "kept\nright\n"
    again = {name for name, time in written.items() if Path(f"{name}.out").stat().st_mtime_ns != time}
    assert again == {"size"}


def test_a_matrix_is_a_target(project):
    write({"arm": {"matrix": {"name": ["one", "two"]}, "cmd": "touch ${item.name}", "outs": ["${item.name}"]}})
    assert set(reproduce(["arm"], 2)) == {"arm@one", "arm@two"}


def test_a_target_takes_along_what_it_depends_on_and_nothing_else(project):
    assert set(reproduce(["both"], 2)) == {"left", "right", "both"}
    assert not Path("size.out").exists()


def test_the_longest_way_is_gone_first(project):
    write(PIPELINE | {"alone": {"cmd": "touch alone.out", "outs": ["alone.out"]}})
    with Repo() as repo:
        order = list(outdated(repo, []))
    assert order == ["left", "right", "both", "size", "alone", "last"]


def test_after_a_failure_nothing_new_starts_and_what_runs_is_kept(project):
    commands = {"left": "exit 3", "right": "sleep 1; cp right.in right.out"}
    write(PIPELINE | {name: PIPELINE[name] | {"cmd": command} for name, command in commands.items()})
    with pytest.raises(ValueError, match=r"failed to reproduce left: .*; right may end first"):
        reproduce([], 2)
    assert set(locked()) == {"right"}
    assert not Path("both.out").exists()
    assert main(["repro", "--jobs", "2"]) == 1


@pytest.mark.parametrize(
    ("targets", "jobs", "said"), [(["middle"], 2, "middle"), ([], 0, "--jobs must be at least 1, got 0")]
)
def test_what_cannot_be_asked_for(project, targets, jobs, said):
    with pytest.raises(ValueError, match=said):
        reproduce(targets, jobs)


@pytest.mark.parametrize(
    ("devices", "jobs", "seen"),
    [
        ("0 1 2 3", 2, ["0,2", "1,3"]),
        ("0 1 2", 2, ["0,2", "1"]),
        ("5", 2, ["5", "5"]),
        ("0 1", 3, ["0", "1", "0"]),
    ],
)
def test_accelerators_are_shared_out(devices, jobs, seen):
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares(devices.split(), jobs)] == seen


def test_without_accelerators_nothing_is_said_of_them(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert accelerators() == []
    assert shares([], 2) == [{}, {}]


def test_each_stage_sees_its_share_of_the_machine(project, tmp_path, monkeypatch):
    tool = tmp_path / "bin/nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n2\\n3\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    told = {name: PIPELINE[name]["cmd"] + f"; echo $CUDA_VISIBLE_DEVICES > {name}.out" for name in ("left", "right")}
    write(PIPELINE | {name: PIPELINE[name] | {"cmd": command} for name, command in told.items()})
    reproduce(["both"], 2)
    assert sorted(Path(f"{name}.out").read_text().strip() for name in told) == ["0,2", "1,3"]


def test_ctrl_c_ends_the_stages_and_says_so_in_a_line(project):
    write({"long": {"cmd": "touch begun; exec sleep 60", "outs": ["never"]}})
    command = [sys.executable, "-m", "synthpairs", "repro"]
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=default_sigint,
    ) as started:
        while not Path("begun").exists() and started.poll() is None:
            time.sleep(0.05)
        time.sleep(1)  # a shell that waits for `touch` goes on after Ctrl-C
        os.killpg(started.pid, signal.SIGINT)
        said = started.communicate(timeout=60)[1]
    assert started.returncode == 130
    assert "Traceback" not in said
    assert "interrupted" in said


def default_sigint() -> None:
    """Children of a background shell ignore Ctrl-C, and so would this one."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
