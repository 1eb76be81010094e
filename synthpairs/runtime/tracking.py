"""Recording a stage in MLflow, at once when it has ended (one that is killed outright leaves no run), and never at its cost.

`SYNTHPAIRS_TRACKING=off` keeps MLflow out; where it is not usable there is one warning in a whole run of DVC.
"""

import contextlib
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from synthpairs.runtime.launch import GROUP, leads, switched_on
from synthpairs.runtime.mlflow_store import Execution, Store, Values, dvc_root

log = logging.getLogger(__name__)
FAILURE_SECONDS = 3600  # after so long MLflow is asked again even in the same run


def tracking_on() -> bool:
    """Whether stages are to be recorded, by this one of the processes that a launcher may have started."""
    return switched_on("SYNTHPAIRS_TRACKING", default="on") and leads()


def record(execution: Execution, stage: str, status: str, params: Values, metrics: Values) -> None:
    """Record a stage that has ended, and what it made to be looked at; never fails."""
    failure, artifacts_failure = failure_marker(), failure_marker("artifacts")  # which have a store of their own
    if _is_recent(failure):
        log.debug("not recorded: MLflow was not usable earlier in this run")
        return
    with quietly(f"{stage} and what follows in this run are not recorded", failure):
        store = Store(execution)
        run = store.add_run(stage, status, params, metrics)
        if status == "FINISHED" and not _is_recent(artifacts_failure):
            with quietly("artifacts are not kept in this run", artifacts_failure):
                store.log_artifacts(run, stage)


def failure_marker(part: str = "") -> Path:
    """Path of the file which, while it is recent, keeps the other stages of a run of DVC from asking an unusable MLflow again.

    A run is a process group, which an interactive shell makes for every command: the next `dvc repro` typed there asks
    again. All that a script, a CI job, `make` or a worker of DVC's queue starts shares one, so there each experiment and
    each tracking address counts by itself.
    """
    group = os.environ.get(GROUP) or str(os.getpgrp())
    with contextlib.suppress(OSError):  # when its first process started: in a container every run may be group 1
        group += " " + Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[19]
    parts = [group, os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("DVC_EXP_NAME", ""), part]
    return dvc_root() / ".dvc/tmp/mlflow-failures" / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _is_recent(marker: Path) -> bool:
    return marker.exists() and time.time() - marker.stat().st_mtime < FAILURE_SECONDS


@contextlib.contextmanager
def quietly(consequence: str, failure: Path | None = None) -> Iterator[None]:
    """Turn any failure of MLflow, being absent included, into one warning, and into a `failure` marker where one is named."""
    try:
        yield
    except Exception as error:  # whatever MLflow, SQLAlchemy or the network raise
        reason = re.sub(r"(?<=//)[^/\s]*@", "", f"{type(error).__name__}: {one_line(error)}")  # without passwords
        log.warning("%s: MLflow is not usable (%s)", consequence, reason[:500])
        if failure:
            with contextlib.suppress(OSError):
                failure.parent.mkdir(parents=True, exist_ok=True)
                failure.touch()


def one_line(error: BaseException) -> str:
    """What an error says, or its kind where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
