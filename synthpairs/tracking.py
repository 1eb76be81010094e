"""The frame around a stage: logging, clean ends, and a run in MLflow. Nothing here changes what a stage makes.

MLflow takes seconds to import, as long as a short stage takes for its work. So a process of its own keeps the record
(synthpairs/recorder.py), beside the stage, which waits for it only at its end. `SYNTHPAIRS_TRACKING=off` keeps MLflow out;
`SYNTHPAIRS_LOG=debug` shows the traceback of an error that otherwise ends as one line.
"""

import contextlib
import ctypes
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

from synthpairs.launch import leads, relaunch

log = logging.getLogger(__name__)


def run_stage(main: Callable[[], None], spread: bool = False) -> None:
    """Run a stage's `main` as a process of its own, or, where it can be `spread`, as those that SYNTHPAIRS_LAUNCH starts.

    Logs to stderr, one line per record. ValueError and OSError, which is what users can mend, end as one line and exit
    code 1. SIGTERM unwinds like Ctrl-C does, and a killed `dvc` takes the stage with it (on Linux, under a shell that
    replaces itself by its last command, as bash and zsh do), so no orphan keeps writing into the outs.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    for name in ("__main__", "synthpairs", "stages", "pretrain"):  # other people's libraries only warn
        level = os.environ.get("SYNTHPAIRS_LOG", "info" if leads() else "warning")  # all processes would say the same
        logging.getLogger(name).setLevel(level.upper())
    signal.signal(signal.SIGTERM, _terminate)
    if "DVC_STAGE" in os.environ and sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, which outlives an exec
    if spread:
        relaunch()
    try:
        main()
    except (ValueError, OSError) as error:
        log.debug("traceback", exc_info=True)
        _end(1, f"error: {_one_line(error)}")
    except KeyboardInterrupt:
        _end(130, "interrupted; what is finished is kept, run the command again to go on")


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

    Never fails the stage: without MLflow, its database or its server there is one warning and nothing is recorded.
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
    """One stage's run, told to the process that records it; where tracking is off every call does nothing."""

    def __init__(self) -> None:
        self._recorder: subprocess.Popen[str] | None = None

    def open(self, stage: str, params: object) -> None:
        """Start the recorder and have it add this stage to the pipeline execution."""
        if not tracking_on():
            return
        address = os.environ.get("DVC_STAGE", "")
        name = address if address.split(":")[-1].split("@")[0] == stage.split("@")[0] else stage
        paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        with quietly("stage %s runs untracked", name):
            self._recorder = subprocess.Popen(
                [sys.executable, "-m", "synthpairs.recorder"],
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                start_new_session=True,  # Ctrl-C is the stage's to answer; the recorder still has its end to note
            )  # fmt: skip
        self._tell(open=name, params=flatten(params), started=time.time())

    def log(self, metrics: dict[str, Any], **volatile: float) -> None:
        """Record metrics (nested is fine), and numbers that no tracked file may hold: seconds, rates, memory."""
        self._tell(metrics=metrics | {"run": volatile})

    def close(self, status: str) -> None:
        """Have the run ended, wait until it is, and pass on what the recorder has to complain of."""
        if recorder := self._recorder:
            unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss counts bytes there, KiB elsewhere
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
            self._tell(metrics={"run": {"peak_memory_gib": round(peak, 3)}})
            self._tell(close=status)
            with contextlib.suppress(BrokenPipeError):  # what was to be flushed to a recorder that has died
                for line in recorder.communicate()[0].splitlines():
                    log.warning("%s", line)
            if recorder.returncode:
                log.warning("this stage is not recorded: its recorder ended with exit code %d", recorder.returncode)

    def _tell(self, **message: Any) -> None:
        if self._recorder:
            assert self._recorder.stdin
            with contextlib.suppress(OSError):  # of a recorder that has died, `close` tells
                self._recorder.stdin.write(json.dumps(message, default=str) + "\n")
                self._recorder.stdin.flush()


def tracking_on() -> bool:
    """Whether stages are to be recorded, by this one of the processes that a launcher may have started."""
    return os.environ.get("SYNTHPAIRS_TRACKING", "on").lower() != "off" and leads()


@contextlib.contextmanager
def quietly(what: str, *arguments: object) -> Iterator[None]:
    """Turn any failure of MLflow, being absent included, into one warning."""
    try:
        yield
    except Exception as error:  # whatever MLflow, SQLAlchemy or the network raise
        log.warning(f"{what}: MLflow is not usable (%s: %s)", *arguments, type(error).__name__, _one_line(error)[:300])


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
