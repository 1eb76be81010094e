"""The frame around a stage: its params, metrics file, logging, clean ends, and a run in MLflow. Nothing here changes results.

MLflow takes seconds to import, so a run is written at once when the stage has ended; one that is killed outright leaves none.
`SYNTHPAIRS_TRACKING=off` keeps MLflow out; `SYNTHPAIRS_LOG=debug` shows the traceback of an error that otherwise ends as one
line.
"""

import contextlib
import ctypes
import functools
import hashlib
import inspect
import logging
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthpairs.core.config import convert_section, read_mapping
from synthpairs.core.source import source_hash
from synthpairs.core.storage import write_json
from synthpairs.runtime.launch import leads, relaunch, switched_on
from synthpairs.runtime.mlflow_store import Execution, Store, dvc_root

log = logging.getLogger(__name__)
LEVELS = ("debug", "info", "warning", "error")
GROUP = "SYNTHPAIRS_GROUP"  # the stage's process group, where a launcher starts its processes in groups of their own
FAILURE_SECONDS = 3600  # after so long MLflow is asked again even in the same run
Metrics = dict[str, Any]
Result = Metrics | tuple[Metrics, Mapping[str, float]]


def stage(
    metrics: str = "", arm: Callable[[Sequence[str]], str] | None = None
) -> Callable[[Callable[..., Result]], Callable[[], None]]:
    """Decorator that makes a stage of a function of sections of params.yaml.

    Each parameter has the name of a section, and the type that it is read as; MLflow shows the values of the first one. The
    function returns the stage's metrics, or those and numbers that no tracked file may hold (rates, counts of cached results).
    The metrics go to MLflow and into the file `metrics`, where that is named. `arm` reads the command's arguments; what it
    returns becomes the parameter `arm` and replaces `{arm}` in the file's name.
    """

    def decorate(function: Callable[..., Result]) -> Callable[[], None]:
        @functools.wraps(function)
        def main() -> None:
            arms = {"arm": arm(sys.argv[1:])} if arm else {}
            document = read_mapping()
            kinds = {name: kind for name, kind in inspect.get_annotations(function).items() if name != "return"}
            sections = {name: convert_section(kind, name, document) for name, kind in kinds.items() if name not in arms}
            with stage_run("@".join([Path(sys.argv[0]).stem, *arms.values()]), next(iter(sections.values()))) as run:
                result = function(**arms, **sections)
                numbers, volatile = result if isinstance(result, tuple) else (result, {})
                if metrics and leads():
                    write_json(Path(metrics.format(**arms)), numbers)
                run.log(numbers, **volatile)

        return main

    return decorate


def run_stage(main: Callable[[], None], spread: bool = False) -> None:
    """Run a stage's `main` as a process of its own, or, where it can be `spread`, as those that SYNTHPAIRS_LAUNCH starts.

    Logs to stderr, one line per record. ValueError and OSError, which is what users can mend, end as one line and exit
    code 1. SIGTERM unwinds like Ctrl-C does, and a killed `dvc` takes the stage with it (on Linux, under a shell that
    replaces itself by its last command, as bash and zsh do), so no orphan keeps writing into the outs.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, which outlives an exec
    try:
        _set_log_levels()
        if spread:
            os.environ.setdefault(GROUP, str(os.getpgrp()))
            relaunch()
        source_hash()  # now, when what is on the disk is what was imported, and not after an edit meanwhile
        main()
    except (ValueError, OSError) as error:
        log.debug("traceback", exc_info=True)
        _end(1, f"error: {_one_line(error)}")
    except KeyboardInterrupt:
        _end(130, "interrupted; what is finished is kept, run the command again to go on")


def _set_log_levels() -> None:
    default = "info" if leads() else "warning"  # all processes would say the same
    level = os.environ.get("SYNTHPAIRS_LOG", default).lower()
    if level not in LEVELS:
        raise ValueError(f"SYNTHPAIRS_LOG must be one of {', '.join(LEVELS)}, got {level!r}")
    for name in ("__main__", "synthpairs", "stages", "desk_models"):  # other people's libraries only warn
        logging.getLogger(name).setLevel(level.upper())


def _end(code: int, message: str) -> None:
    logging.getLogger("__main__").error("%s: %s", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem), message)
    sys.exit(code)


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
    sys.exit(128 + number)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class StageRun:
    """What one execution of a stage has measured so far."""

    def __init__(self) -> None:
        self.metrics: Metrics = {"run": {}}

    def log(self, metrics: Metrics, **volatile: float) -> None:
        """Add metrics (nested is fine), and numbers that no tracked file may hold: seconds, rates, memory."""
        self.metrics |= metrics | {"run": self.metrics["run"] | volatile}


@contextlib.contextmanager
def stage_run(stage: str, params: Any) -> Iterator[StageRun]:
    """Record one execution of a stage at its end: params (a dataclass), metrics, seconds, peak memory and how it ended.

    Never fails the stage: without MLflow, its database or its server there is one warning in a whole run of DVC, and
    nothing is recorded. ValueError only for a SYNTHPAIRS_TRACKING that is neither on nor off.
    """
    run, status, started = StageRun(), "FINISHED", time.monotonic()
    execution = Execution.current() if tracking_on() else None
    try:
        yield run
    except BaseException as error:
        status = "KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED"
        raise
    finally:
        unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss counts bytes there, KiB elsewhere
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        run.log({}, seconds=time.monotonic() - started, peak_memory_gib=round(peak, 3))
        if execution:
            _record(execution, os.environ.get("DVC_STAGE") or stage, status, params, run.metrics)


def _record(execution: Execution, stage: str, status: str, params: Any, metrics: Metrics) -> None:
    failure, artifacts_failure = failure_marker(), failure_marker("artifacts")  # which have a store of their own
    if _is_recent(failure):
        log.debug("not recorded: MLflow was not usable earlier in this run")
        return
    with quietly(f"{stage} and what follows in this run are not recorded", failure):
        store = Store(execution)
        run = store.add_run(stage, status, asdict(params), metrics)
        if status == "FINISHED" and not _is_recent(artifacts_failure):
            with quietly("artifacts are not kept in this run", artifacts_failure):
                store.log_artifacts(run, stage)


def tracking_on() -> bool:
    """Whether stages are to be recorded, by this one of the processes that a launcher may have started."""
    return switched_on("SYNTHPAIRS_TRACKING", default="on") and leads()


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
        reason = re.sub(r"(?<=//)[^/\s]*@", "", f"{type(error).__name__}: {_one_line(error)}")  # without passwords
        log.warning("%s: MLflow is not usable (%s)", consequence, reason[:500])
        if failure:
            with contextlib.suppress(OSError):
                failure.parent.mkdir(parents=True, exist_ok=True)
                failure.touch()
