"""MLflow runs: one parent run per execution of the pipeline, one child run per stage.

The parent is looked up or created by a key of its content (git revision, experiment name, params.yaml), so stages pass no run
id to each other. Runs go to `MLFLOW_TRACKING_URI`, by default to `mlflow.db` at the DVC root. Only `Store` imports MLflow,
which takes two seconds.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synthpairs.core.config import PARAMS, flatten, parse_mapping
from synthpairs.runtime.git import git_output

Values = Mapping[str, Any]  # nested
EXPERIMENT = "synthpairs"
SQLITE = "sqlite:///"
PARAMS_AT_ONCE, METRICS_AT_ONCE = 100, 1000  # limits of MLflow's log_batch
NAME_LENGTH, VALUE_LENGTH = 250, 6000  # of params, metrics and tags, in characters
LOCK_S = 60.0  # how long to wait for another process to find or create database and parent run
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",  # s; the defaults wait 120 s, eight times
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "PGCONNECT_TIMEOUT": "5",  # s; by default none
}
ARTIFACTS = {  # pages and figures by the stage that makes them, kept under their paths in the project
    "export": ("data/export/README.md",),
    "diversity": ("reports/diversity.png",),
    "distributions": ("reports/distributions.png",),
    "gallery": ("reports/gallery",),
    "report": ("reports/README.md", "reports/figures"),
}
VIEW, COLUMNS = "headline", 40  # of the table of runs: name, and most columns, for a tag holds 5,000 characters


def dvc_root() -> Path:
    """The project's root; under `dvc exp run --temp` that of the original, not of the copy."""
    return Path(os.environ.get("DVC_ROOT", ".")).resolve()


@dataclass(frozen=True, slots=True)
class Execution:
    """The execution of the pipeline that a stage belongs to, captured when the stage starts."""

    started: int  # of the stage, in milliseconds since 1970
    key: str  # the same for all stages, however often the execution is interrupted and resumed
    name: str
    tags: dict[str, str]
    params: bytes  # params.yaml

    @classmethod
    def current(cls) -> "Execution":
        """The execution of this process; FileNotFoundError without a params.yaml."""
        params, revision = PARAMS.read_bytes(), git_output("rev-parse", "HEAD")
        experiment, baseline = os.environ.get("DVC_EXP_NAME", ""), os.environ.get("DVC_EXP_BASELINE_REV", revision)
        key = hashlib.sha256(b"\0".join([baseline.encode(), experiment.encode(), params])).hexdigest()
        # DVC removes a stage's results before it runs, so they always look changed.
        changed = git_output("status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports", ":!dvc.lock")
        tags = {"git.rev": revision, "git.dirty": "true" if changed else "false", "dvc.exp": experiment}
        name = f"{experiment or baseline[:7] or 'repro'}-{key[:6]}"
        return cls(started=int(time.time() * 1000), key=key, name=name, tags=tags, params=params)


class Store:
    """MLflow client for the runs of one execution of the pipeline, whose own run is `parent`."""

    def __init__(self, execution: Execution) -> None:
        """Find or create database, experiment and parent run; raises within seconds where MLflow is not usable."""
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow.client import MlflowClient
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = 1  # of connections to a database; the default of ten takes two minutes
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # it warns of each retry
        root = dvc_root()
        # Relative, so that no folder above the project is part of the address: MLflow misreads %, ? and # in it, and creates
        # a stray folder of the quoted name.
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{quote(os.path.relpath(root / 'mlflow.db'))}"
        location = None if address.startswith("http") else (root / "mlruns").as_uri()
        if address.startswith(SQLITE):
            Path(address.removeprefix(SQLITE).partition("?")[0]).parent.mkdir(parents=True, exist_ok=True)
        self._execution, self.address = execution, address
        with _locked(root / ".dvc/tmp/mlflow.lock"):  # two processes that create one database break it
            self.client = MlflowClient(tracking_uri=address)
            experiment = self.client.get_experiment_by_name(EXPERIMENT)
            self.experiment = (
                experiment.experiment_id if experiment else self.client.create_experiment(EXPERIMENT, location)
            )
            parents = self.client.search_runs([self.experiment], f"tags.`pipeline.key` = '{execution.key}'")
            if parents:
                self.parent: str = parents[0].info.run_id
            else:
                self.parent = self._create_run(execution.name, {"pipeline.key": execution.key})
                self._log_params(self.parent, parse_mapping(execution.params, str(PARAMS)))

    def _create_run(self, name: str, tags: dict[str, str]) -> str:
        tags = self._execution.tags | tags
        return str(self.client.create_run(self.experiment, self._execution.started, tags, run_name=name).info.run_id)

    def finished_run(self, stage: str) -> Any:
        """The latest successful run of a stage in this execution, or None."""
        query = f"tags.`mlflow.parentRunId` = '{self.parent}' and tags.`dvc.stage` = '{stage}'"
        query += " and attributes.status = 'FINISHED'"
        runs = self.client.search_runs([self.experiment], query, order_by=["attributes.start_time DESC"])
        return runs[0] if runs else None

    def add_run(
        self,
        stage: str,
        status: str,
        params: Values,
        metrics: Values,
        curves: Mapping[str, Sequence[float]] | None = None,
        restored: bool = False,
    ) -> str:
        """Record a stage that has ended, and give the parent run the same status; returns the run's id.

        The metrics of stage `report` are the headline numbers of the whole execution, so the parent run gets them too.
        """
        tags = {"dvc.restored": "true"} if restored else {}  # by DVC from its cache, not run
        run = self._create_run(stage, {"mlflow.parentRunId": self.parent, "dvc.stage": stage} | tags)
        try:
            self._log_params(run, params)
            self._log_metrics(run, metrics)
            for name, values in (curves or {}).items():
                self._log_steps(run, name, values)
            if stage == "report":
                self._log_metrics(self.parent, {name: value for name, value in metrics.items() if name != "run"})
                self.save_view()
        finally:
            for ended in (run, self.parent):
                self.client.set_terminated(ended, status)
        return run

    def save_view(self) -> None:
        """Save VIEW in MLflow: the table of runs with the headline numbers of this execution, `selected` first.

        Without a view MLflow shows no metric. It keeps views that people share in such tags of an experiment.
        """
        metrics = self.client.get_run(self.parent).data.metrics
        names = sorted(metrics, key=lambda name: (not name.startswith("selected/"), name))
        view = json.dumps({"selectedColumns": [f"metrics.`{name}`" for name in names[:COLUMNS]]})
        self.client.set_experiment_tag(self.experiment, f"mlflow.sharedViewState.{VIEW}", view)

    def _log_params(self, run: str, params: Values) -> None:
        from mlflow.entities import Param

        values, rows = flatten(params), []
        names = mlflow_names(values)
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            rows.append(Param(names[key], text.replace("\0", "")[:VALUE_LENGTH]))  # PostgreSQL takes no NUL
        for first in range(0, len(rows), PARAMS_AT_ONCE):
            self.client.log_batch(run, params=rows[first : first + PARAMS_AT_ONCE])

    def _log_metrics(self, run: str, metrics: Values) -> None:
        """Log the numbers among nested values, as `outer/inner`."""
        from mlflow.entities import Metric

        numbers = {key: value for key, value in flatten(metrics, "/").items() if isinstance(value, int | float)}
        names, now, largest = mlflow_names(numbers), int(time.time() * 1000), sys.float_info.max
        rows = [Metric(names[key], float(max(min(value, largest), -largest)), now, 0) for key, value in numbers.items()]
        self._log_rows(run, rows)

    def _log_steps(self, run: str, name: str, values: Sequence[float]) -> None:
        """Log one metric by step, from 1."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._log_rows(run, [Metric(name, value, now, step) for step, value in enumerate(values, 1)])

    def _log_rows(self, run: str, rows: Sequence[Any]) -> None:
        for first in range(0, len(rows), METRICS_AT_ONCE):
            self.client.log_batch(run, metrics=rows[first : first + METRICS_AT_ONCE])

    def log_artifacts(self, run: str, stage: str) -> None:
        """Keep copies of the pages and figures that the stage made."""
        for path in filter(Path.exists, map(Path, ARTIFACTS.get(stage, ()))):
            if path.is_dir():
                self.client.log_artifacts(run, str(path), path.as_posix())
            else:
                self.client.log_artifact(run, str(path), path.parent.as_posix())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; TimeoutError when another process does not release it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_S
    with path.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{path} has been held by another process for {LOCK_S:g} s") from None
                time.sleep(0.1)
        yield


def where_to_look(address: str, experiment: str) -> str:
    """Link to VIEW in MLflow's UI, after the command that starts the UI unless a server at `address` shows it."""
    address, page = without_passwords(address), f"/#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"
    if address.startswith("http"):
        return address.rstrip("/") + page
    return f"`mlflow ui --backend-store-uri {address}`, then http://127.0.0.1:5000{page}"


def without_passwords(text: str) -> str:
    """Text without the names and passwords in its addresses."""
    return re.sub(r"(?<=//)[^/\s]*@", "", text)


def mlflow_names(keys: Iterable[str]) -> dict[str, str]:
    """A unique valid MLflow name for each key.

    Names may hold letters, digits, spaces, `_-.` and slashes, and must be normalised paths.
    """
    names = {}
    for key in keys:
        parts = re.sub(r"[^/\w.\- ]", ".", key).split("/")
        names[key] = "/".join(part if part.strip(".") and part[:2] != ".." else f"_{part}" for part in parts)
    uses = Counter(names.values())
    for key, name in names.items():
        if len(name) > NAME_LENGTH or (name != key and uses[name] > 1):
            suffix = "-" + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:8]
            names[key] = name[: NAME_LENGTH - len(suffix)] + suffix
    return names
