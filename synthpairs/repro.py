"""`dvc repro` with stages side by side: `python -m synthpairs repro --jobs 2`.

DVC itself runs one stage after another. Here each stage is still DVC's to check, to run or to restore, and to write into
dvc.lock, as by `dvc repro --single-item`; but while a command runs, DVC is free for the next stage whose deps are all there.
What is made and what dvc.lock says of it is the same. Accelerators are shared out among the stages that run at the same time.
"""

import logging
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from queue import SimpleQueue

import networkx
from dvc.exceptions import DvcException
from dvc.lock import LockBase
from dvc.repo import Repo

from synthpairs.execution.processes import VISIBLE
from synthpairs.warm.server import SPINS


def reproduce(targets: Sequence[str], jobs: int) -> list[str]:
    """Run what is out of date of some stages (none named: those of dvc.yaml) and of what they depend on; returns what that was.

    ValueError when a stage fails or a target is none: nothing new is started then, and what runs comes to its end.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {jobs}")
    for name in ("dvc", "dvc_data", "dvc_objects"):  # which print what they log
        logging.getLogger(name).propagate = False
    turn = threading.Lock()
    try:
        with _repository(turn) as repo:
            waits_for = outdated(repo, targets)
    except DvcException as error:
        raise ValueError(str(error)) from None
    spins = {name: value for name, value in SPINS.items() if name not in os.environ}
    slots: SimpleQueue[dict[str, str]] = SimpleQueue()  # what to add to the environment of a stage
    for slot in shares(accelerators(), jobs):
        slots.put(spins | slot if jobs > 1 else slot)

    def run(stage: str) -> None:
        slot = slots.get()
        try:
            with _repository(turn) as repo:
                repo.reproduce(stage, single_item=True, run_env=slot)
        finally:
            slots.put(slot)

    running: dict[Future[None], str] = {}
    ended: set[str] = set()
    with ThreadPoolExecutor(jobs) as pool:
        while len(ended) < len(waits_for):
            started = ended | set(running.values())
            ready = [stage for stage in waits_for if stage not in started and waits_for[stage] <= ended]
            for stage in ready[: jobs - len(running)]:
                running[pool.submit(run, stage)] = stage
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                stage = running.pop(future)
                try:
                    future.result()
                except DvcException as error:
                    others = f"; {', '.join(running.values())} may end first" if running else ""
                    raise ValueError(f"failed to reproduce {stage}: {error}{others}") from None
                ended.add(stage)
    return list(waits_for)


def outdated(repo: Repo, targets: Sequence[str]) -> dict[str, set[str]]:
    """The stages that changed or depend on such, each with those of them that it depends on; the longest ways to go first."""
    graph = repo.index.graph  # from a stage to what it depends on
    asked = [stage for target in targets or ["dvc.yaml"] for stage in repo.stage.collect(target)]
    wanted = graph.subgraph(set(asked).union(*(networkx.descendants(graph, stage) for stage in asked)))
    with repo.lock:
        changed = {stage for stage in wanted if stage.status()}
    far: dict[object, int] = {}  # stages on the longest way from here to the end
    stale: dict[object, bool] = {}
    for stage in networkx.topological_sort(wanted):
        far[stage] = 1 + max((far[user] for user in wanted.predecessors(stage)), default=0)
    for stage in reversed(list(far)):
        stale[stage] = stage in changed or any(stale[dep] for dep in wanted.successors(stage))
    names = sorted((stage for stage in wanted if stale[stage]), key=lambda stage: (-far[stage], stage.addressing))
    return {stage.addressing: {dep.addressing for dep in wanted.successors(stage) if stale[dep]} for stage in names}


def accelerators() -> list[str]:
    """The NVIDIA GPUs that stages may see, as CUDA_VISIBLE_DEVICES names them; asking torch would take seconds."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name]
    if not shutil.which("nvidia-smi"):
        return []
    asked = subprocess.run(["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"], capture_output=True, text=True)
    return asked.stdout.split() if asked.returncode == 0 else []


def shares(devices: Sequence[str], jobs: int) -> list[dict[str, str]]:
    """What each job adds to its stages' environment: each device is of one job, or of several where there are too few."""
    if not devices:
        return [{}] * jobs
    return [{VISIBLE: ",".join(devices[job::jobs]) or devices[job % len(devices)]} for job in range(jobs)]


class _Turn(LockBase):
    """DVC's own lock, which keeps other processes out, behind one that keeps out the other threads of this process."""

    def __init__(self, lock: LockBase, turn: threading.Lock):
        self._lock, self._turn = lock, turn

    def lock(self) -> None:
        self._turn.acquire()
        try:
            self._lock.lock()
        except BaseException:
            self._turn.release()
            raise

    def unlock(self) -> None:
        self._lock.unlock()
        self._turn.release()

    @property
    def is_locked(self) -> bool:
        return bool(self._lock.is_locked)

    def __enter__(self) -> None:
        self.lock()

    def __exit__(self, *_: object) -> None:
        self.unlock()


@contextmanager
def _repository(turn: threading.Lock) -> Iterator[Repo]:
    """DVC's view of the project, one for each thread: it changes all the time, and only its lock knows of the others."""
    with closing(Repo()) as repo:
        repo.lock = _Turn(repo.lock, turn)
        repo.scm_context.quiet = True  # it would say after each stage what to add to git
        yield repo
