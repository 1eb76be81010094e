"""Recording finished stages in MLflow. Problems with MLflow never fail a stage.

A stage that is killed outright leaves no run. `tracking: off` (or SYNTHPAIRS_TRACKING=off) disables it; an unusable MLflow
costs one warning in a whole run of DVC.
"""

import contextlib
import hashlib
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from synthpairs.runtime.launch import GROUP, is_main_process
from synthpairs.runtime.mlflow_store import Execution, Store, Values, dvc_root, without_passwords
from synthpairs.runtime.settings import load_runtime

log = logging.getLogger(__name__)
FAILURE_SECONDS = 3600  # after which MLflow is tried again, even in the same run
_curves: dict[str, Sequence[float]] = {}  # of the stage that this process runs


def tracking_on() -> bool:
    """Whether this process is to record its stage."""
    return load_runtime().tracking and is_main_process()


def log_curve(name: str, values: Sequence[float]) -> None:
    """A metric by step, such as a loss, for the stage's run in MLflow; it is recorded when the stage ends."""
    _curves[name] = values


def record(execution: Execution, stage: str, status: str, params: Values, metrics: Values) -> None:
    """Record a stage that has ended, and its artifacts; never fails."""
    failure, artifacts_failure = failure_marker(), failure_marker("artifacts")  # artifacts have a store of their own
    if _is_recent(failure):
        log.debug("not recorded: MLflow was not usable earlier in this run")
        return
    with quietly(f"{stage} and what follows in this run are not recorded", failure):
        store = Store(execution)
        run = store.add_run(stage, status, params, metrics, _curves)
        if status == "FINISHED" and not _is_recent(artifacts_failure):
            with quietly("artifacts are not kept in this run", artifacts_failure):
                store.log_artifacts(run, stage)


def failure_marker(part: str = "") -> Path:
    """Path of the file that, while it is recent, keeps other stages of a run of DVC from trying an unusable MLflow again.

    A run is identified by its process group, which an interactive shell creates for every command, so the next `dvc repro`
    tries again. Everything started by one script, CI job, `make` or worker of DVC's queue shares a group, so experiments and
    tracking addresses have markers of their own.
    """
    group = os.environ.get(GROUP) or str(os.getpgrp())
    with contextlib.suppress(OSError):  # start time of its first process: in a container every run may be group 1
        group += " " + Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[19]
    parts = [group, os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("DVC_EXP_NAME", ""), part]
    return dvc_root() / ".dvc/tmp/mlflow-failures" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _is_recent(marker: Path) -> bool:
    return marker.exists() and time.time() - marker.stat().st_mtime < FAILURE_SECONDS


@contextlib.contextmanager
def quietly(consequence: str, failure: Path | None = None) -> Iterator[None]:
    """Turn any failure of MLflow, its absence included, into one warning, and touch the `failure` marker."""
    try:
        yield
    except Exception as error:  # whatever MLflow, SQLAlchemy or the network raise
        reason = without_passwords(f"{type(error).__name__}: {one_line(error)}")
        log.warning("%s: MLflow is not usable (%s)", consequence, reason[:500])
        if failure:
            with contextlib.suppress(OSError):
                failure.parent.mkdir(parents=True, exist_ok=True)
                failure.touch()


def one_line(error: BaseException) -> str:
    """An error's message on one line, or its class where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
