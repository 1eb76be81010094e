"""The frame around a stage: logging, clean ends, and a run in MLflow. Nothing here changes what a stage makes.

A pipeline execution is one parent run, found or created by a key of its content (git revision, experiment name,
params.yaml), so no run id is passed between stages; every stage is a child of it. Runs go to `MLFLOW_TRACKING_URI`,
else to `mlflow.db` at the DVC root. `SYNTHPAIRS_TRACKING=off` keeps MLflow out; `SYNTHPAIRS_LOG=debug` shows the
traceback of an error that otherwise ends as one line.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import logging
import os
import re
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
EXPERIMENT = "synthpairs"
LOCK_SECONDS = 120  # making a database takes seconds, on a busy machine half a minute
BATCH = 100  # params that MLflow takes at once


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
    """One stage's run in MLflow; without MLflow every call does nothing."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._parent = self._run = ""

    def open(self, stage: str, params: object) -> None:
        """Find or create the pipeline execution, add this stage to it."""
        address = os.environ.get("DVC_STAGE", "")
        name = address if address.split(":")[-1].split("@")[0] == stage.split("@")[0] else stage
        with quietly("stage %s runs untracked", name):
            self._store = Store.connect()
        if store := self._store:
            with self._attempt():
                self._parent = store.parent()
                self._run = store.child(self._parent, name, flatten(params))

    def log(self, metrics: dict[str, Any], **volatile: float) -> None:
        """Record metrics (nested is fine), and numbers that no tracked file may hold: seconds, rates, memory."""
        if store := self._store:
            with self._attempt():
                store.metrics(self._run, metrics | {"run": volatile})

    def close(self, status: str) -> None:
        """End the run, and show the pipeline execution in the state of its latest stage."""
        if store := self._store:
            with self._attempt():
                unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss counts bytes there, KiB elsewhere
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
                store.metrics(self._run, {"run": {"peak_memory_gib": round(peak, 3)}})
                store.client.set_terminated(self._run, status)
                store.client.set_terminated(self._parent, status)

    @contextlib.contextmanager
    def _attempt(self) -> Iterator[None]:
        store, self._store = self._store, None  # one that failed is not asked again: each try may cost its time-out
        with quietly("the rest of this stage runs untracked"):
            yield
            self._store = store


@contextlib.contextmanager
def quietly(what: str, *arguments: object) -> Iterator[None]:
    """Turn any failure of MLflow, being absent included, into one warning."""
    try:
        yield
    except Exception as error:  # whatever MLflow, SQLAlchemy or the network raise
        log.warning(f"{what}: MLflow is not usable (%s: %s)", *arguments, type(error).__name__, _one_line(error)[:300])


class Store:
    """MLflow's client with what this project asks of it. It is imported here and nowhere else: that takes seconds."""

    def __init__(self, client: Any, experiment: str) -> None:
        self.client, self._experiment = client, experiment

    @classmethod
    def connect(cls) -> "Store | None":
        """The store that the environment names, made on first use; None when tracking is off, or another process records."""
        if os.environ.get("SYNTHPAIRS_TRACKING", "on").lower() == "off" or not leads():
            return None
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")  # s; the defaults wait 120 s, eight times
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        from mlflow.client import MlflowClient

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings of each retry say what ours says once
        root = dvc_root()
        uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}"
        location = None if uri.startswith("http") else (root / "mlruns").as_uri()
        with _only_one():  # two processes that create one database break it
            client = MlflowClient(tracking_uri=uri)
            if found := client.get_experiment_by_name(EXPERIMENT):
                return cls(client, found.experiment_id)
            return cls(client, client.create_experiment(EXPERIMENT, artifact_location=location))

    def parent(self) -> str:
        """Run id of this pipeline execution."""
        name, revision, document = os.environ.get("DVC_EXP_NAME", ""), _revision(), _params_file()
        baseline = os.environ.get("DVC_EXP_BASELINE_REV", revision)
        key = hashlib.sha256("\0".join([baseline, name, document]).encode()).hexdigest()
        with _only_one():
            if runs := self.client.search_runs([self._experiment], f"tags.`pipeline.key` = '{key}'"):
                return str(runs[0].info.run_id)
            tags = {"pipeline.key": key, "git.rev": revision, "dvc.exp": name}
            label = f"{name or baseline[:7] or 'repro'}-{key[:6]}"
            run = self.client.create_run(self._experiment, tags=tags, run_name=label)
        from ruamel.yaml import YAML

        self.params(run.info.run_id, flatten(YAML(typ="safe").load(document)))
        return str(run.info.run_id)

    def child(self, parent: str, stage: str, params: dict[str, Any], tags: dict[str, str] | None = None) -> str:
        """A new run of a stage under a pipeline execution; earlier ones that never ended were killed."""
        for run in self.children(parent, stage):
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        ours = {"mlflow.parentRunId": parent, "dvc.stage": stage, "dvc.exp": os.environ.get("DVC_EXP_NAME", "")}
        # DVC removes a stage's results before it runs, so they always look changed.
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports", ":!dvc.lock")
        ours |= {"git.rev": _revision(), "git.dirty": "true" if changed else "false"}
        run = self.client.create_run(self._experiment, tags=ours | (tags or {}), run_name=stage)
        self.client.update_run(parent, "RUNNING")
        self.params(run.info.run_id, params)
        return str(run.info.run_id)

    def children(self, parent: str, stage: str) -> list[Any]:
        """A pipeline execution's runs of a stage, latest first."""
        query = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`dvc.stage` = '{stage}'"
        return list(self.client.search_runs([self._experiment], query, order_by=["attributes.start_time DESC"]))

    def params(self, run: str, values: dict[str, Any]) -> None:
        """Log params under names that MLflow takes."""
        from mlflow.entities import Param

        rows = []
        for key, value in values.items():
            rows.append(Param(_name(key), value if isinstance(value, str) else json.dumps(value, default=str)))
        for first in range(0, len(rows), BATCH):
            self.client.log_batch(run, params=rows[first : first + BATCH])

    def metrics(self, run: str, values: dict[str, Any]) -> None:
        """Log the numbers among nested values, as `outer/inner`."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        rows = [
            Metric(_name(key), float(value), now, 0)
            for key, value in flatten(values, "/").items()
            if isinstance(value, int | float)
        ]
        self.client.log_batch(run, metrics=rows)


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


def dvc_root() -> Path:
    """The project that DVC runs in; under `dvc exp run --temp` not the copy but the original."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


def _name(key: str) -> str:
    return re.sub(r"[^/\w.\- ]", ".", key)


def _params_file() -> str:
    path = Path("params.yaml")
    return path.read_text() if path.exists() else ""


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _revision() -> str:
    return _git("rev-parse", "HEAD")


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    path = dvc_root() / ".dvc/tmp/mlflow.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} has been held by another process for {LOCK_SECONDS} s") from None
                time.sleep(0.1)
        yield
