"""How a stage starts itself in several processes, and who of them writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.launch import beside, leads, local_rank, processes, switched_on

ROOT = Path(__file__).parents[1]


def stage(launcher, **environment):
    """What `python -m stages.align nobody` says under a launcher."""
    settings = {"SYNTHPAIRS_LAUNCH": launcher, "SYNTHPAIRS_TRACKING": "off"} | environment
    kept = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    return subprocess.run(
        [sys.executable, "-m", "stages.align", "nobody"], cwd=ROOT, env=kept | settings, capture_output=True, text=True
    )


def test_a_stage_hands_itself_to_its_launcher():
    done = stage("echo --nproc-per-node 2")
    assert (done.returncode, done.stdout) == (0, "--nproc-per-node 2 -m stages.align nobody\n")


def test_a_launcher_gets_the_process_group_that_its_processes_leave():
    done = stage("sh -c 'echo $SYNTHPAIRS_GROUP'")
    assert (done.returncode, done.stdout) == (0, f"{os.getpgrp()}\n")


def test_what_a_launcher_started_does_not_start_again():
    done = stage("echo", LOCAL_RANK="0", RANK="0", WORLD_SIZE="1")
    assert done.returncode == 1
    assert "name one arm of" in done.stderr


def test_a_launcher_that_is_not_there_is_named():
    done = stage("no-such-launcher")
    assert done.returncode == 1
    assert done.stderr == "SYNTHPAIRS_LAUNCH: no-such-launcher cannot be run: No such file or directory\n"


def test_one_of_several_leads(monkeypatch):
    for name in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "7")  # a cluster's, without a launcher
    assert (leads(), processes(), beside(), local_rank()) == (True, 1, 1, 0)
    for name, value in {"LOCAL_RANK": "3", "RANK": "8", "WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8"}.items():
        monkeypatch.setenv(name, value)
    assert (leads(), processes(), beside(), local_rank()) == (False, 16, 8, 3)
    monkeypatch.setenv("RANK", "0")
    assert leads()


def test_a_switch_is_on_or_off(monkeypatch):
    monkeypatch.delenv("SYNTHPAIRS_FSDP", raising=False)
    assert not switched_on("SYNTHPAIRS_FSDP")
    assert switched_on("SYNTHPAIRS_FSDP", default="on")
    monkeypatch.setenv("SYNTHPAIRS_FSDP", "ON")
    assert switched_on("SYNTHPAIRS_FSDP")
    monkeypatch.setenv("SYNTHPAIRS_FSDP", "1")
    with pytest.raises(ValueError, match="SYNTHPAIRS_FSDP must be on or off, got '1'"):
        switched_on("SYNTHPAIRS_FSDP")
