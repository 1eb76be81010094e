"""The frame around a stage: logging, clean ends, and a run in MLflow. Nothing here changes what a stage makes.

MLflow takes seconds to import, as long as a short stage takes for its work. So a process of its own keeps the record
(synthpairs/recorder.py), beside the stage, which waits for it only at its end. Where MLflow is not usable the first stage
of a run of DVC warns, and those after it do not ask again. `SYNTHPAIRS_TRACKING=off` keeps MLflow out;
`SYNTHPAIRS_LOG=debug` shows the traceback of an error that otherwise ends as one line.
"""

import contextlib
import ctypes
import hashlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from synthpairs.launch import leads, relaunch, switched_on
from synthpairs.source import source_hash

log = logging.getLogger(__name__)
LEVELS = ("debug", "info", "warning", "error")
GROUP = "SYNTHPAIRS_GROUP"  # the stage's process group, where a launcher starts its processes in groups of their own
FAILURE_SECONDS = 3600  # after so long MLflow is asked again even in the same run
END_SECONDS = (
    120  # for which a stage that has ended waits for its recorder; making a database on a busy machine takes 30
)


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
    level = os.environ.get(
        "SYNTHPAIRS_LOG", "info" if leads() else "warning"
    ).lower()  # all processes would say the same
    if level not in LEVELS:
        raise ValueError(f"SYNTHPAIRS_LOG must be one of {', '.join(LEVELS)}, got {level!r}")
    for name in ("__main__", "synthpairs", "stages", "pretrain"):  # other people's libraries only warn
        logging.getLogger(name).setLevel(level.upper())


def _end(code: int, message: str) -> None:
    logging.getLogger("__main__").error("%s: %s", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem), message)
    sys.exit(code)


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
    sys.exit(128 + number)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def stage_run(stage: str, params: object) -> Iterator["StageRun"]:
    """Record one execution of a stage: its params (a dataclass), its outcome, and what is given to `.log()`.

    Never fails the stage: without MLflow, its database or its server there is one warning in a whole run of DVC, and
    nothing is recorded. ValueError only for a SYNTHPAIRS_TRACKING that is neither on nor off.
    """
    run = StageRun()
    run.open(stage, params)
    try:
        yield run
    except BaseException as error:
        run.close("KILLED" if isinstance(error, KeyboardInterrupt | SystemExit) else "FAILED")
        raise
    run.close("FINISHED")


class StageRun:
    """One stage's run, passed to the process that records it; where tracking is off every call does nothing."""

    def __init__(self) -> None:
        self._recorder: subprocess.Popen[str] | None = None
        self._failure = Path()

    def open(self, stage: str, params: object) -> None:
        """Start the recorder and have it add this stage to the pipeline execution."""
        if not tracking_on():
            return
        self._failure = failure_marker()
        if self._failure.exists():
            log.debug("not recorded: MLflow was not usable earlier in this run")
            return
        name = os.environ.get("DVC_STAGE") or stage
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        with quietly(f"{name} and what follows in this run are not recorded", self._failure):
            self._recorder = subprocess.Popen(
                [sys.executable, "-m", "synthpairs.recorder"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                start_new_session=True,  # Ctrl-C is the stage's to answer; the recorder still has its end to note
            )  # fmt: skip
        self._tell(open=name, params=flatten(params), started=time.time(), failure=str(self._failure))

    def log(self, metrics: dict[str, Any], **volatile: float) -> None:
        """Record metrics (nested is fine), and numbers that no tracked file may hold: seconds, rates, memory."""
        self._tell(metrics=metrics | {"run": volatile})

    def close(self, status: str) -> None:
        """Have the run ended, wait until it is, and pass on the first thing that the recorder complains of."""
        if recorder := self._recorder:
            unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss counts bytes there, KiB elsewhere
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
            self._tell(metrics={"run": {"peak_memory_gib": round(peak, 3)}})
            self._tell(close=status)
            with quietly("this stage and what follows in this run are not recorded", self._failure):
                try:
                    complaints = recorder.communicate(timeout=END_SECONDS)[0].splitlines()
                except subprocess.TimeoutExpired:
                    recorder.kill()
                    raise
                for position, line in enumerate(complaints):
                    log.log(logging.DEBUG if position else logging.WARNING, "%s", line)
                if recorder.returncode:
                    raise ChildProcessError(f"the recorder ended with exit code {recorder.returncode}")

    def _tell(self, **message: Any) -> None:
        if self._recorder:
            assert self._recorder.stdin
            with contextlib.suppress(OSError):  # of a recorder that has died, `close` warns
                self._recorder.stdin.write(json.dumps(message, default=str) + "\n")
                self._recorder.stdin.flush()


def tracking_on() -> bool:
    """Whether stages are to be recorded, by this one of the processes that a launcher may have started."""
    return switched_on("SYNTHPAIRS_TRACKING", default="on") and leads()


def dvc_root() -> Path:
    """The project that DVC runs in; under `dvc exp run --temp` not the copy but the original."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def failure_marker() -> Path:
    """Path of the file which, where it exists, keeps the other stages of a run of DVC from asking an unusable MLflow again.

    A run is a process group, which an interactive shell makes for every command: the next `dvc repro` typed there asks
    again. All that a script, a CI job, `make` or a worker of DVC's queue starts shares one, so there each experiment and
    each tracking address counts by itself. Markers end after an hour.
    """
    folder = dvc_root() / ".dvc/tmp/mlflow-failures"
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):  # another stage may be first
            if time.time() - path.stat().st_mtime > FAILURE_SECONDS:
                path.unlink()
    group = os.environ.get(GROUP) or str(os.getpgrp())
    with contextlib.suppress(OSError):  # when its first process started: in a container every run may be group 1
        group += " " + Path(f"/proc/{group}/stat").read_text().rpartition(")")[2].split()[19]
    parts = [group, os.environ.get("MLFLOW_TRACKING_URI", ""), os.environ.get("DVC_EXP_NAME", "")]
    return folder / hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@contextlib.contextmanager
def quietly(consequence: str, failure: Path | None = None) -> Iterator[None]:
    """Turn any failure of MLflow, being absent included, into one warning, and into a `failure` marker where one is named."""
    try:
        yield
    except Exception as error:  # whatever MLflow, SQLAlchemy or the network raise
        reason = f"{type(error).__name__}: {_one_line(error)[:300]}"
        log.warning("%s: MLflow is not usable (%s)", consequence, reason)
        if failure:
            with contextlib.suppress(OSError):
                failure.parent.mkdir(parents=True, exist_ok=True)
                failure.touch()


def flatten(value: Any, separator: str = ".", prefix: str = "") -> dict[str, Any]:
    """Nested dataclasses and mappings as one mapping from joined names to leaves."""
    if is_dataclass(value):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= flatten(item, separator, f"{prefix}{separator}{key}" if prefix else str(key))
    return flat
