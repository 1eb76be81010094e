"""Batches come back once each, whatever becomes of workers: killed, hanging, or killed by what they are given."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from synthpairs.runtime.engine.processes import Processes
from synthpairs.runtime.engine.run import Lost, run
from tests.conftest import alive
from tests.runtime.engine.crews import seeing, steady, stillborn, unwilling

BATCHES = [[f"{letter}{number}" for number in range(3)] for letter in "abcde"]
ANSWERS = {item: item.upper() for batch in BATCHES for item in batch}


def answered(
    batches: Sequence[Sequence[str]], workers: int, log: Path, make: Any = steady, tries: int = 2, lease_s: float = 60
) -> tuple[dict[str, str], dict[str, str]]:
    """Answers and reasons of losses by item; every item must have exactly one of either."""
    answers: dict[str, str] = {}
    lost: dict[str, str] = {}
    with closing(Processes(workers, [])) as crew:
        for batch, result in run(batches, partial(make, log), crew, tries, lease_s):
            assert not set(batch) & (set(answers) | set(lost))
            if isinstance(result, Lost):
                lost |= dict.fromkeys(batch, result.reason)
            else:
                answers |= dict(zip(batch, result, strict=True))
    assert set(answers) | set(lost) == {item for batch in batches for item in batch}
    return answers, lost


def workers_of(log: Path) -> list[int]:
    return list(dict.fromkeys(int(line.split()[0]) for line in log.read_text().splitlines()))


def test_without_a_crew_batches_are_done_here_and_in_order(tmp_path: Path) -> None:
    done = list(run(iter(BATCHES), partial(steady, tmp_path / "log"), None, 1, 1))
    assert done == [(batch, [item.upper() for item in batch]) for batch in BATCHES]
    assert workers_of(tmp_path / "log") == [os.getpid()]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_crew_does_each_batch_once(tmp_path: Path, workers: int) -> None:
    answers, lost = answered(BATCHES, workers, tmp_path / "log")
    assert (answers, lost) == (ANSWERS, {})
    assert len((tmp_path / "log").read_text().splitlines()) == len(BATCHES)
    assert not any(map(alive, workers_of(tmp_path / "log")))


def test_no_more_workers_are_started_than_there_are_batches(tmp_path: Path) -> None:
    assert answered([], 3, tmp_path / "log") == ({}, {})
    assert not (tmp_path / "log").exists()


def test_a_worker_that_dies_or_hangs_is_replaced_and_costs_nothing(tmp_path: Path) -> None:
    batches = [["a0", f"once:{tmp_path}/died"], ["b0"], [f"hang:{tmp_path}/hung"], ["c0", "c1"]]
    answers, lost = answered(batches, 2, tmp_path / "log", lease_s=3)
    assert not lost
    assert answers == {item: item.upper() for batch in batches for item in batch}
    assert not any(map(alive, workers_of(tmp_path / "log")))


def test_a_deadly_item_is_found_and_given_up_and_its_neighbours_are_not(tmp_path: Path) -> None:
    batches = [["a0", "a1"], ["b0", "b1", "deadly:1", "b3", "b4"], ["c0"]]
    answers, lost = answered(batches, 1, tmp_path / "log")
    assert lost == {"deadly:1": "2 workers ended over it, the last by signal 9 (SIGKILL)"}
    assert set(answers) == {"a0", "a1", "b0", "b1", "b3", "b4", "c0"}
    assert len(workers_of(tmp_path / "log")) <= 7


def test_what_a_worker_raises_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^params.yaml: nothing at log$"):
        answered(BATCHES, 2, tmp_path / "log", unwilling)
    with pytest.raises(RuntimeError, match=r"in a worker: Traceback[^$]*KeyError: 'why'"):
        answered([["raise:why"]], 1, tmp_path / "log")


def test_a_hopeless_set_up_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"no worker gets ready; the last one ended by exit code 7"):
        answered(BATCHES, 2, tmp_path / "log", stillborn)
    assert len(workers_of(tmp_path / "log")) == 4
    with pytest.raises(OSError, match=r"14 workers in a row ended without having finished anything"):
        answered([[f"deadly:{number}" for number in range(24)]], 1, tmp_path / "log", tries=1)


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


def test_workers_end_with_a_driver_that_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    driver = subprocess.Popen([sys.executable, "-c", DRIVER.format(log=str(log))], env=environment)
    while not log.exists() or len(workers_of(log)) < 2:
        assert driver.poll() is None
        time.sleep(0.02)
    workers = workers_of(log)
    assert all(map(alive, workers))
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    deadline = time.monotonic() + 60
    while any(map(alive, workers)):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.05)


def test_each_worker_sees_its_own_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7")
    seen: dict[int, str] = {}
    with closing(Processes(3, ["5", "7"])) as crew:
        assert crew.device == "cuda"
        for place in range(3):
            crew.start(place, seeing)
        while len(seen) < 3:
            for news in crew.news(60):
                if news.kind == "ready":
                    crew.give(news.place, ["what do you see?"])
                else:
                    seen[news.place] = news.value
    assert seen == {0: "5", 1: "7", 2: "5"}
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3,5,7"
