"""How a stage starts itself in several processes, and which of them writes."""

import os
import subprocess
import sys
from pathlib import Path

from synthpairs.runtime.launch import is_main_process, local_rank, local_world_size, processes

ROOT = Path(__file__).parents[2]


def stage(launcher, command="stages.pretrain nobody", cwd=ROOT, **environment):
    """Exit code and output of a stage under a launcher."""
    settings = {"SYNTHPAIRS_LAUNCH": launcher, "SYNTHPAIRS_TRACKING": "off", "PYTHONPATH": str(ROOT)} | environment
    kept = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    command = [sys.executable, "-m", *command.split()]
    done = subprocess.run(command, cwd=cwd, env=kept | settings, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_stage_hands_itself_to_its_launcher():
    assert stage("echo --nproc-per-node 2") == (0, "--nproc-per-node 2 -m stages.pretrain nobody\n", "")


def test_a_launcher_starts_a_stage_once_and_passes_on_the_process_group(tmp_path):
    (tmp_path / "probe.py").write_text(
        "from synthpairs.runtime.stage import run_stage\nrun_stage(lambda: print('ran'), spread=True)\n"
    )
    started = {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "1"}
    assert stage("echo", "probe", tmp_path, **started) == (0, "ran\n", "")
    assert stage("sh -c 'echo $SYNTHPAIRS_GROUP'", "probe", tmp_path) == (0, f"{os.getpgrp()}\n", "")
    absent = "SYNTHPAIRS_LAUNCH: no-such-launcher cannot be run: No such file or directory\n"
    assert stage("no-such-launcher", "probe", tmp_path) == (1, "", absent)


def test_rank_0_writes(monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "7")  # a cluster's, without a launcher
    assert (is_main_process(), processes(), local_world_size(), local_rank()) == (True, 1, 1, 0)
    for name, value in {"LOCAL_RANK": "3", "RANK": "8", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    assert (is_main_process(), processes(), local_world_size(), local_rank()) == (False, 16, 8, 3)
    monkeypatch.setenv("RANK", "0")
    assert is_main_process()
