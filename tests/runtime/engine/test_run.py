"""Batches come back once each, whatever becomes of workers: killed, hanging, or killed by what they are given."""

import os
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from synthpairs.runtime.engine.processes import Processes
from synthpairs.runtime.engine.run import Lost, run
from tests.conftest import alive, wait_for_end
from tests.runtime.engine.crews import seeing, steady, stillborn, unwilling

BATCHES = [[f"{letter}{number}" for number in range(3)] for letter in "abcde"]
ANSWERS = {item: item.upper() for batch in BATCHES for item in batch}


@pytest.fixture
def log(tmp_path):
    """To which workers write their process ids and batches."""
    return tmp_path / "log"


def answered(batches, workers, log, make=steady, tries=2, lease_s=60):
    """Answers and reasons of losses by item; every item must have exactly one of either."""
    answers, lost = {}, {}
    with closing(Processes(workers, [])) as crew:
        for batch, result in run(batches, partial(make, log), crew, tries, lease_s):
            assert not set(batch) & (set(answers) | set(lost))
            if isinstance(result, Lost):
                lost |= dict.fromkeys(batch, result.reason)
            else:
                answers |= dict(zip(batch, result, strict=True))
    assert set(answers) | set(lost) == {item for batch in batches for item in batch}
    return answers, lost


def workers_of(log):
    return list(dict.fromkeys(int(line.split()[0]) for line in log.read_text().splitlines()))


def test_without_a_crew_batches_are_done_here_and_in_order(log):
    done = list(run(iter(BATCHES), partial(steady, log), None, 1, 1))
    assert done == [(batch, [item.upper() for item in batch]) for batch in BATCHES]
    assert workers_of(log) == [os.getpid()]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_crew_does_each_batch_once(log, workers):
    assert answered([], workers, log) == ({}, {})
    assert not log.exists(), "a worker for no batch"
    assert answered(BATCHES, workers, log) == (ANSWERS, {})
    assert len(log.read_text().splitlines()) == len(BATCHES)
    assert not any(map(alive, workers_of(log)))


def test_a_worker_that_dies_or_hangs_is_replaced_and_costs_nothing(log, tmp_path):
    batches = [["a0", f"once:{tmp_path}/died"], ["b0"], [f"hang:{tmp_path}/hung"], ["c0", "c1"]]
    answers = {item: item.upper() for batch in batches for item in batch}
    assert answered(batches, 2, log, lease_s=3) == (answers, {})
    assert not any(map(alive, workers_of(log)))


def test_a_deadly_item_is_given_up_and_its_neighbours_are_not(log):
    batches = [["a0", "a1"], ["b0", "b1", "deadly:1", "b3", "b4"], ["c0"]]
    answers, lost = answered(batches, 1, log)
    assert lost == {"deadly:1": "2 workers ended over it, the last by signal 9 (SIGKILL)"}
    assert set(answers) == {"a0", "a1", "b0", "b1", "b3", "b4", "c0"}
    assert len(workers_of(log)) <= 7


def test_what_a_worker_raises_ends_the_run(log):
    with pytest.raises(ValueError, match=r"^params.yaml: nothing at log$"):
        answered(BATCHES, 2, log, unwilling)
    with pytest.raises(RuntimeError, match=r"in a worker: Traceback[^$]*KeyError: 'why'"):
        answered([["raise:why"]], 1, log)


def test_a_hopeless_set_up_ends_the_run(log):
    with pytest.raises(OSError, match=r"no worker gets ready; the last one ended by exit code 7"):
        answered(BATCHES, 2, log, stillborn)
    assert len(workers_of(log)) == 4
    with pytest.raises(OSError, match=r"14 workers in a row ended without having finished anything"):
        answered([[f"deadly:{number}" for number in range(24)]], 1, log, tries=1)


DRIVER = """
from contextlib import closing
from functools import partial
from pathlib import Path
from synthpairs.runtime.engine.processes import Processes
from synthpairs.runtime.engine.run import run
from tests.runtime.engine.crews import steady
with closing(Processes(2, [])) as crew:
    list(run([["slow:600"], ["slow:600"]], partial(steady, Path({log!r})), crew, 3, 600))
"""


def test_workers_end_with_a_driver_that_is_killed(log):
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER.format(log=str(log))], env=environment)
    while not log.exists() or len(workers_of(log)) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    workers = workers_of(log)
    assert all(map(alive, workers))
    driver.kill()
    driver.wait()
    wait_for_end(workers)


def test_each_worker_sees_its_own_accelerator(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    visible = {}
    with closing(Processes(3, ["5", "7"])) as crew:
        assert crew.device == "cuda"
        for number in range(3):
            crew.start(number, seeing)
        while len(visible) < 3:
            for news in crew.news(60):
                if news.kind == "ready":
                    crew.give(news.place, ["what do you see?"])
                else:
                    visible[news.place] = news.value
    assert visible == {0: "5", 1: "7", 2: "5"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5,7"
