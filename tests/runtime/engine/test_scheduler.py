"""Every batch comes back once, whether workers are killed, hang or are killed by an item."""

import os
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from synthpairs.runtime.engine.processes import Processes
from synthpairs.runtime.engine.scheduler import Poisoned, run
from tests.conftest import alive, wait_for_end
from tests.runtime.engine.workers import dies_at_start, raises_at_start, upper_case, visible_devices

BATCHES = [[f"{letter}{number}" for number in range(3)] for letter in "abcde"]
RESULTS = {item: item.upper() for batch in BATCHES for item in batch}


@pytest.fixture
def log(tmp_path):
    """File to which workers append their process ids and batches."""
    return tmp_path / "log"


def run_all(batches, workers, log, make=upper_case, tries=2, timeout_s=60):
    """Results and reasons of poisoned items, by item; every item must have exactly one of them."""
    results, poisoned = {}, {}
    with closing(Processes(workers, [])) as pool:
        for batch, result in run(batches, partial(make, log), pool, tries, timeout_s):
            assert not set(batch) & (set(results) | set(poisoned))
            if isinstance(result, Poisoned):
                poisoned |= dict.fromkeys(batch, result.reason)
            else:
                results |= dict(zip(batch, result, strict=True))
    assert set(results) | set(poisoned) == {item for batch in batches for item in batch}
    return results, poisoned


def workers_of(log):
    return list(dict.fromkeys(int(line.split()[0]) for line in log.read_text().splitlines()))


def test_without_a_pool_batches_are_done_in_this_process_in_order(log):
    results = list(run(iter(BATCHES), partial(upper_case, log), None, 1, 1))
    assert results == [(batch, [item.upper() for item in batch]) for batch in BATCHES]
    assert workers_of(log) == [os.getpid()]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_pool_does_each_batch_once(log, workers):
    assert run_all([], workers, log) == ({}, {})
    assert not log.exists(), "a worker was started without a batch"
    assert run_all(BATCHES, workers, log) == (RESULTS, {})
    assert len(log.read_text().splitlines()) == len(BATCHES)
    assert not any(map(alive, workers_of(log)))


def test_a_worker_that_dies_or_hangs_is_replaced(log, tmp_path):
    batches = [["a0", f"once:{tmp_path}/died"], ["b0"], [f"hang:{tmp_path}/hung"], ["c0", "c1"]]
    results = {item: item.upper() for batch in batches for item in batch}
    assert run_all(batches, 2, log, timeout_s=3) == (results, {})
    assert not any(map(alive, workers_of(log)))


def test_an_item_that_kills_workers_is_isolated(log):
    batches = [["a0", "a1"], ["b0", "b1", "deadly:1", "b3", "b4"], ["c0"]]
    results, poisoned = run_all(batches, 1, log)
    assert poisoned == {"deadly:1": "2 workers ended over it, the last by signal 9 (SIGKILL)"}
    assert set(results) == {"a0", "a1", "b0", "b1", "b3", "b4", "c0"}
    assert len(workers_of(log)) <= 7


def test_errors_of_workers_are_raised(log):
    with pytest.raises(ValueError, match=r"^params.yaml: nothing at log$"):
        run_all(BATCHES, 2, log, raises_at_start)
    with pytest.raises(RuntimeError, match=r"in a worker: Traceback[^$]*KeyError: 'why'"):
        run_all([["raise:why"]], 1, log)


def test_workers_that_keep_dying_end_the_run(log):
    with pytest.raises(OSError, match=r"no worker becomes ready; the last one ended by exit code 7"):
        run_all(BATCHES, 2, log, dies_at_start)
    assert len(workers_of(log)) == 4
    with pytest.raises(OSError, match=r"14 workers in a row ended without finishing a batch"):
        run_all([[f"deadly:{number}" for number in range(24)]], 1, log, tries=1)


DRIVER = """
from contextlib import closing
from functools import partial
from pathlib import Path
from synthpairs.runtime.engine.processes import Processes
from synthpairs.runtime.engine.scheduler import run
from tests.runtime.engine.workers import upper_case
with closing(Processes(2, [])) as pool:
    list(run([["slow:600"], ["slow:600"]], partial(upper_case, Path({log!r})), pool, 3, 600))
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
    with closing(Processes(3, ["5", "7"])) as pool:
        assert pool.device == "cuda"
        for slot in range(3):
            pool.start(slot, visible_devices)
        while len(visible) < 3:
            for event in pool.poll(60):
                if event.kind == "ready":
                    pool.submit(event.slot, ["any"])
                else:
                    visible[event.slot] = event.value
    assert visible == {0: "5", 1: "7", 2: "5"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5,7"
