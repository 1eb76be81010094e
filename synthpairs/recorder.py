"""MLflow runs of stages: `python -m synthpairs.recorder` records one stage, told line by line what it does.

A pipeline execution is one parent run, found or created by a key of its content (git revision, experiment name,
params.yaml), so no run id is passed between stages; every stage is a child of it. Runs go to `MLFLOW_TRACKING_URI`,
else to `mlflow.db` at the DVC root.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthpairs.tracking import flatten, quietly, tracking_on

EXPERIMENT = "synthpairs"
LOCK_SECONDS = 120  # making a database takes seconds, on a busy machine half a minute
BATCH = 100  # params that MLflow takes at once
SHOWN = {  # what people look at, by the stage that makes it: kept as artifacts of its run, under the paths of the project
    "select": ("data/selected/README.md",),
    "diversity": ("reports/diversity.png",),
    "distributions": ("reports/distributions.png",),
    "gallery": ("reports/gallery",),
    "report": ("reports/README.md", "reports/*.png", "reports/figures"),
}


class Recorder:
    """One stage's run in MLflow; from the first thing that fails on, which is one warning, every call does nothing."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._parent = self._run = self._stage = ""

    def open(self, stage: str, params: dict[str, Any], started: float) -> None:
        """Find or create the pipeline execution, add this stage to it; `started` is in seconds since 1970."""
        with quietly("stage %s runs untracked", stage):
            self._store = Store.connect()
        if store := self._store:
            with self._attempt():
                self._stage, self._parent = stage, store.parent()
                self._run = store.child(self._parent, stage, params, started=started)

    def log(self, metrics: dict[str, Any]) -> None:
        """Record numbers, nested or not."""
        if store := self._store:
            with self._attempt():
                store.metrics(self._run, metrics)

    def close(self, status: str) -> None:
        """End the run, and show the pipeline execution in the state of its latest stage."""
        if store := self._store:
            with self._attempt():
                if status == "FINISHED":
                    store.artifacts(self._run, self._stage)
                store.client.set_terminated(self._run, status)
                store.client.set_terminated(self._parent, status)

    @contextlib.contextmanager
    def _attempt(self) -> Iterator[None]:
        store, self._store = self._store, None  # one that failed is not asked again: each try may cost its time-out
        with quietly("the rest of this stage runs untracked"):
            yield
            self._store = store


class Store:
    """MLflow's client with what this project asks of it. It is imported here and nowhere else: that takes seconds."""

    def __init__(self, client: Any, experiment: str) -> None:
        self.client, self._experiment = client, experiment

    @classmethod
    def connect(cls) -> "Store | None":
        """The store that the environment names, made on first use; None when tracking is off."""
        if not tracking_on():
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

    def child(
        self,
        parent: str,
        stage: str,
        params: dict[str, Any],
        tags: dict[str, str] | None = None,
        started: float | None = None,
    ) -> str:
        """A new run of a stage under a pipeline execution; earlier ones that never ended were killed."""
        for run in self.children(parent, stage):
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        ours = {"mlflow.parentRunId": parent, "dvc.stage": stage, "dvc.exp": os.environ.get("DVC_EXP_NAME", "")}
        # DVC removes a stage's results before it runs, so they always look changed.
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports", ":!dvc.lock")
        ours |= {"git.rev": _revision(), "git.dirty": "true" if changed else "false"}
        begun = None if started is None else int(started * 1000)
        run = self.client.create_run(self._experiment, tags=ours | (tags or {}), run_name=stage, start_time=begun)
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

    def artifacts(self, run: str, stage: str) -> None:
        """Keep copies of what the stage made to be looked at."""
        for pattern in SHOWN.get(stage.split(":")[-1], ()):
            for path in sorted(Path().glob(pattern)):
                if path.is_dir():
                    self.client.log_artifacts(run, str(path), path.as_posix())
                else:
                    self.client.log_artifact(run, str(path), path.parent.as_posix())


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


def main() -> None:
    """Follow the messages of synthpairs.tracking.StageRun; a stage that falls silent before its end was killed."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stdout)
    recorder, ended = Recorder(), False
    for line in sys.stdin:
        message = json.loads(line)
        if "open" in message:
            recorder.open(message["open"], message["params"], message["started"])
        elif "metrics" in message:
            recorder.log(message["metrics"])
        else:
            recorder.close(message["close"])
            ended = True
    if not ended:
        recorder.close("KILLED")


if __name__ == "__main__":
    main()
