"""Stages end with the `dvc` that started them, even when it is killed while they start or import."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import alive, wait_for_end
from tests.pipeline import ROOT

# Stands for DVC: starts a stage by a shell, says the shell's process id, and waits. Bash replaces itself by the stage.
DVC = """
import os, subprocess, sys
stage = subprocess.Popen([*os.environ["SHELL"].split(), "-c", sys.executable + " -m stages.slow"])
print(stage.pid, flush=True)
stage.wait()
"""
SHELLS = ["bash --noprofile --norc", "dash"]
SLOW = """
import time
from pathlib import Path
Path("imports").touch()
time.sleep(2)  # torch, transformers
from synthpairs.runtime.stage import run_stage
run_stage(Path("out").touch)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals a parent's death")


@pytest.fixture
def project(tmp_path):
    """A folder with a stage that imports for two seconds and then writes at once."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").write_text((ROOT / "stages/__init__.py").read_text())
    (tmp_path / "stages/slow.py").write_text(SLOW)
    return tmp_path


def start(project, **variables):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "slow", "SHELL": SHELLS[0]} | variables
    dvc = subprocess.Popen(
        [sys.executable, "-c", DVC], cwd=project, env=environment, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    return dvc, int(dvc.stdout.readline())


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("seconds", [0, 0.01, 0.03, 0.1, None], ids=lambda seconds: seconds or "imports")
def test_a_stage_whose_dvc_is_killed_ends_before_it_writes(project, seconds, shell):
    """None: once the imports have begun."""
    if not shutil.which(shell.split()[0]):
        pytest.skip(f"{shell} is not installed")
    dvc, stage = start(project, SHELL=shell)
    with dvc:
        if seconds is None:
            while not (project / "imports").exists():
                time.sleep(0.01)
        else:
            time.sleep(seconds)
        dvc.send_signal(signal.SIGKILL)
        dvc.wait()
        started = time.monotonic()
        wait_for_end([stage])
        assert time.monotonic() - started < 1.5, "it went on with its imports"
    assert not (project / "out").exists()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_stage_goes_on_while_its_dvc_lives_and_without_one(project, shell):
    dvc, _ = start(project, SHELL=shell)
    assert dvc.wait() == 0
    (project / "out").unlink()
    dvc, stage = start(project, DVC_STAGE="")
    dvc.kill()
    dvc.wait()
    assert alive(stage)
    os.kill(stage, signal.SIGKILL)


def test_a_process_of_a_launcher_may_have_a_session_of_its_own(project):
    """As torchrun gives it."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_STAGE": "slow", "LOCAL_RANK": "0", "RANK": "0"}
    command = [sys.executable, "-m", "stages.slow"]
    assert subprocess.run(command, cwd=project, env=environment, start_new_session=True).returncode == 0
    assert (project / "out").exists()
