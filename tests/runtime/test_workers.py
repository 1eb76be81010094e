"""Pool workers end with the process that started them, however it ends, and hold none of its locks."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.core.storage import WorkStore
from synthpairs.runtime.workers import process_pool
from tests.conftest import children, kill_with_workers

ROOT = Path(__file__).parents[2]
PROGRAM = """
import time
from synthpairs.core.storage import WorkStore
from synthpairs.runtime.workers import process_pool

def work(seconds):
    time.sleep(seconds)

if __name__ == "__main__":
    with WorkStore("stage", "x").locked(), process_pool(2, {start!r}) as pool:
        futures = [pool.submit(work, seconds) for seconds in (0, 0, 100)]
        futures[0].result()
        print("ready", flush=True)
        time.sleep(100)
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends them")


@pytest.fixture
def parent(tmp_path, request):
    """A process that holds a lock and has a pool with one busy and one idle worker."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(start=request.param))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DVC_ROOT": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(program)], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


@pytest.mark.parametrize("parent", ["fork", "spawn"], indirect=True)
def test_workers_and_lock_of_a_killed_process_are_gone(parent, tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with pytest.raises(BlockingIOError), WorkStore("stage", "x").locked():
        pass
    kill_with_workers(parent)
    with WorkStore("stage", "x").locked():
        pass


@pytest.mark.parametrize("parent", ["fork"], indirect=True)
def test_workers_leave_ctrl_c_to_the_parent(parent):
    workers = children(parent.pid)
    for pid in workers:
        os.kill(pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        parent.wait(0.5)  # a pool that loses a worker breaks and ends its process
    assert children(parent.pid) == workers


def test_a_worker_whose_parent_has_died_already_ends_at_once():
    code = "from synthpairs.runtime.workers import _initialize; _initialize(1234567, print, ('started',))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")


def test_each_worker_calls_the_initializer():
    with process_pool(1, "fork", os.environ.__setitem__, "INITIALIZED", "yes") as pool:
        assert pool.submit(os.getenv, "INITIALIZED").result() == "yes"
    assert "INITIALIZED" not in os.environ


def test_no_other_module_starts_a_pool():
    files = [path for folder in ("synthpairs", "stages", "desk_models") for path in (ROOT / folder).rglob("*.py")]
    pools = {
        path.stem for path in files if re.search(r"ProcessPoolExecutor|\bPool\(\d|import .*\bPool$", path.read_text())
    }
    assert pools == {"workers"}
