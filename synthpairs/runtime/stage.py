"""The frame of a stage: params, metrics file, logging, signals and exit codes, and a run in MLflow. It changes no result.

`SYNTHPAIRS_LOG=debug` shows the traceback of an error that otherwise ends as one line.
"""

import functools
import inspect
import json
import logging
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from synthpairs.core.config import convert_section, read_mapping
from synthpairs.core.source import source_hash
from synthpairs.core.storage import write_json
from synthpairs.runtime.dvc_files import arm_names, damaged_dvc_files
from synthpairs.runtime.launch import is_main_process, relaunch
from synthpairs.runtime.mlflow_store import Execution
from synthpairs.runtime.parent import end_with_dvc
from synthpairs.runtime.settings import load_runtime
from synthpairs.runtime.tracking import one_line, record, tracking_on

log = logging.getLogger("__main__")
RSS_UNIT = 2**30 if sys.platform == "darwin" else 2**20  # per GiB: ru_maxrss counts bytes there, KiB elsewhere
Metrics = dict[str, Any]
Result = Metrics | tuple[Metrics, Mapping[str, float]]


def stage(
    metrics: str = "", arm: Callable[[Sequence[str]], str] | None = None
) -> Callable[[Callable[..., Result]], Callable[[], None]]:
    """Decorator that turns a function of sections of params.yaml into a stage.

    Each parameter is named like a section and annotated with its dataclass; MLflow shows the values of the first one. The
    function returns the stage's metrics, or a pair of those and numbers that no tracked file may hold (rates, cache hits).
    The metrics go to MLflow and into the file `metrics`, if named. `arm` parses the command's arguments; its result becomes
    the parameter `arm` and replaces `{arm}` in the file's name.
    """

    def decorate(function: Callable[..., Result]) -> Callable[[], None]:
        @functools.wraps(function)
        def main() -> None:
            arms = {"arm": arm(sys.argv[1:])} if arm else {}
            document = read_mapping()
            kinds = {name: kind for name, kind in inspect.get_annotations(function).items() if name != "return"}
            sections = {name: convert_section(kind, name, document) for name, kind in kinds.items() if name not in arms}
            execution = Execution.current() if tracking_on() else None  # params.yaml may be edited meanwhile
            numbers: Metrics = {}
            volatile: Mapping[str, float] = {}
            name = os.environ.get("DVC_STAGE") or "@".join([Path(sys.argv[0]).stem, *arms.values()])
            _announce(name, document)
            if is_main_process():
                for line in damaged_dvc_files(document, Path(name.rpartition(":")[0] or "dvc.yaml")):
                    log.warning(line)
            started, status = time.monotonic(), "FAILED"
            try:
                result = function(**arms, **sections)
                numbers, volatile = result if isinstance(result, tuple) else (result, {})
                if metrics and is_main_process():
                    write_json(Path(metrics.format(**arms)), numbers)
                status = "FINISHED"
            except (KeyboardInterrupt, SystemExit):
                status = "KILLED"
                raise
            finally:
                if execution:
                    params = asdict(next(iter(sections.values())))
                    usage = {"seconds": time.monotonic() - started, **_usage()}
                    record(execution, name, status, params, {**numbers, "run": {**volatile, **usage}})

        return main

    return decorate


def run_stage(main: Callable[[], None], spread: bool = False) -> None:
    """Run a stage's `main`; where `spread` allows it, in the processes that the setting `launch` starts.

    Logs to stderr, one line per record. ValueError and OSError, the errors that users can fix, end as one line and exit code
    1. SIGTERM unwinds like Ctrl-C, and a killed `dvc` takes the stage with it (see end_with_dvc).
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated")  # transformers', for what peft asks
    signal.signal(signal.SIGTERM, _terminate)
    end_with_dvc()
    try:
        level = load_runtime().log or ("info" if is_main_process() else "warning")  # all processes would log the same
        for name in ("__main__", "synthpairs", "stages", "desk_models"):  # other libraries only warn
            logging.getLogger(name).setLevel(level.upper())
        if spread:
            relaunch()
        source_hash()  # while the files are those that were imported; they may be edited meanwhile
        main()
    except (ValueError, OSError) as error:
        log.debug("traceback", exc_info=True)
        _end(1, f"error: {one_line(error)}")
    except KeyboardInterrupt:
        _end(130, "interrupted; finished work is kept, run the command again to resume")


def _announce(name: str, document: Mapping[str, Any]) -> None:
    """Log the stage's place in the pipeline, and how long it took with the committed params."""
    file = Path("perf/repro.json")
    if not (is_main_process() and file.exists()):
        return
    stages = json.loads(file.read_bytes())["stages"]
    names = [stage for stage in stages if stage.partition("@")[2] in ("", *arm_names(document))]
    if name in names:
        place, seconds = f"stage {names.index(name) + 1} of {len(names)}", stages[name]["seconds"]
        log.info("%s, %s: %.0f s on two cores with the params as committed", place, name, seconds)


def _usage() -> dict[str, float]:
    """CPU seconds of the process and its ended children, and peak memory in GiB of the largest of them."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {
        "cpu_seconds": sum(one.ru_utime + one.ru_stime for one in used),
        "peak_memory_gib": round(max(one.ru_maxrss for one in used) / RSS_UNIT, 3),
    }


def _end(code: int, message: str) -> None:
    log.error("%s: %s", os.environ.get("DVC_STAGE", Path(sys.argv[0]).stem), message)
    sys.exit(code)


def _terminate(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends at once
    sys.exit(128 + number)
