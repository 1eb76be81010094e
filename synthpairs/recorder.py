"""MLflow runs of stages: `python -m synthpairs.recorder` records one stage, which sends it a line for all that it does.

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
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from synthpairs.tracking import dvc_root, flatten, quietly

EXPERIMENT = "synthpairs"
LOCK_SECONDS = 60  # making a database takes seconds, on a busy machine half a minute
CHECK_SECONDS = 2  # in which a server or a database has to answer
BATCH = 100  # params that MLflow takes at once; of metrics it takes ten times as many
NAME_LENGTH, VALUE_LENGTH = 250, 6000  # of params, metrics and tags, in characters
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
SHOWN = {  # what people look at, by the stage that makes it: kept as artifacts of its run, under the paths of the project
    "select": ("data/selected/README.md",),
    "diversity": ("reports/diversity.png",),
    "distributions": ("reports/distributions.png",),
    "gallery": ("reports/gallery",),
    "report": ("reports/README.md", "reports/curves.png", "reports/figures"),
}


class Recorder:
    """One stage's run in MLflow. From the first failure on, which is one warning, nothing more is logged, but runs are ended."""

    def __init__(self) -> None:
        self._store: Store | None = None
        self._parent = self._run = self._stage = ""
        self._failure = Path()

    def open(self, stage: str, params: dict[str, Any], started: float, failure: Path) -> None:
        """Find or create the pipeline execution, add this stage to it; `started` is in seconds since 1970."""
        self._stage, self._failure = stage, failure
        with self._attempt():
            store = self._store = Store.connect()
            self._parent = store.parent()
            self._run = store.child(self._parent, stage, started=started)
            store.params(self._run, params)

    def log(self, metrics: dict[str, Any]) -> None:
        """Record numbers, nested or not."""
        if self._store and not self._failure.exists():
            with self._attempt():
                self._store.metrics(self._run, metrics)

    def close(self, status: str) -> None:
        """End the run, and show the pipeline execution in the state of its latest stage."""
        if not (store := self._store):
            return
        with self._attempt():
            if self._failure.exists():  # is it gone, or did it refuse something?
                check(store.address)
            for run in filter(None, (self._run, self._parent)):
                store.client.set_terminated(run, status)
        artifacts_failure = self._failure.with_suffix(
            ".artifacts"
        )  # they have a store of their own, which may fail alone
        if status == "FINISHED" and not self._failure.exists() and not artifacts_failure.exists():
            with quietly("artifacts are not kept in this run", artifacts_failure):
                store.artifacts(self._run, self._stage)

    def _attempt(self) -> contextlib.AbstractContextManager[None]:
        return quietly(f"{self._stage} and what follows in this run are not recorded", self._failure)


class Store:
    """MLflow's client with what this project asks of it. It is imported here and nowhere else: that takes seconds."""

    def __init__(self, client: Any, experiment: str, address: str) -> None:
        self.client, self._experiment, self.address = client, experiment, address

    @classmethod
    def connect(cls) -> "Store":
        """The store that the environment names, made on first use; an exception within seconds where that is not usable."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # on which warnings go to the stage
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")  # s; the defaults wait 120 s, eight times
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        root = dvc_root()
        # Relative, so that no name of a folder above the project stands in the address: MLflow takes %, ? and # there for
        # something else, and makes a stray folder of the name as it is quoted.
        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{quote(os.path.relpath(root / 'mlflow.db'))}"
        location = None if address.startswith("http") else (root / "mlruns").as_uri()
        with _only_one():  # a process that creates the database keeps others waiting for longer than they would
            check(address)
        from mlflow.client import MlflowClient

        logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings of each retry say what ours says once
        with _only_one():  # two that create one database break it
            client = MlflowClient(tracking_uri=address)
            if experiment := client.get_experiment_by_name(EXPERIMENT):
                return cls(client, experiment.experiment_id, address)
            return cls(client, client.create_experiment(EXPERIMENT, artifact_location=location), address)

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

        self.params(run.info.run_id, flatten(YAML(typ="safe").load(document) or {}))
        return str(run.info.run_id)

    def child(self, parent: str, stage: str, tags: dict[str, str] | None = None, started: float | None = None) -> str:
        """A new run of a stage under a pipeline execution; earlier ones that never ended were killed."""
        for run in self.children(parent, stage):
            if run.info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        ours = {"mlflow.parentRunId": parent, "dvc.stage": stage, "dvc.exp": os.environ.get("DVC_EXP_NAME", "")}
        # DVC removes a stage's results before it runs, so they always look changed.
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!reports", ":!dvc.lock")
        ours |= {"git.rev": _revision(), "git.dirty": "true" if changed else "false"}
        begun = None if started is None else int(started * 1000)
        self.client.update_run(parent, "RUNNING")
        run = self.client.create_run(self._experiment, tags=ours | (tags or {}), run_name=stage, start_time=begun)
        return str(run.info.run_id)

    def children(self, parent: str, stage: str) -> list[Any]:
        """A pipeline execution's runs of a stage, latest first."""
        query = f"tags.`mlflow.parentRunId` = '{parent}' and tags.`dvc.stage` = '{stage}'"
        return list(self.client.search_runs([self._experiment], query, order_by=["attributes.start_time DESC"]))

    def params(self, run: str, values: dict[str, Any]) -> None:
        """Log params under names that MLflow takes."""
        from mlflow.entities import Param

        names = mlflow_names(values)
        rows = []
        for key, value in values.items():
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            rows.append(Param(names[key], text.replace("\0", "")[:VALUE_LENGTH]))  # PostgreSQL takes no NUL
        for first in range(0, len(rows), BATCH):
            self.client.log_batch(run, params=rows[first : first + BATCH])

    def metrics(self, run: str, values: dict[str, Any]) -> None:
        """Log the numbers among nested values, as `outer/inner`."""
        from mlflow.entities import Metric

        numbers = {key: value for key, value in flatten(values, "/").items() if isinstance(value, int | float)}
        names, now, largest = mlflow_names(numbers), int(time.time() * 1000), sys.float_info.max
        rows = [Metric(names[key], float(max(min(value, largest), -largest)), now, 0) for key, value in numbers.items()]
        for first in range(0, len(rows), 10 * BATCH):
            self.client.log_batch(run, metrics=rows[first : first + 10 * BATCH])

    def artifacts(self, run: str, stage: str) -> None:
        """Keep copies of what the stage made to be looked at."""
        for pattern in SHOWN.get(stage.split(":")[-1], ()):
            for path in sorted(Path().glob(pattern)):
                if path.is_dir():
                    self.client.log_artifacts(run, str(path), path.as_posix())
                else:
                    self.client.log_artifact(run, str(path), path.parent.as_posix())


def mlflow_names(keys: Iterable[str]) -> dict[str, str]:
    """Names that MLflow takes, by key, and different ones for different keys.

    They hold letters, digits, spaces, `_-.` and slashes, and must be paths that are not shorter when normalised.
    """
    names = {}
    for key in keys:
        parts = re.sub(r"[^/\w.\- ]", ".", key).split("/")
        names[key] = "/".join(part if part.strip(".") and part[:2] != ".." else f"_{part}" for part in parts)
    uses = Counter(names.values())
    for key, name in names.items():
        if len(name) > NAME_LENGTH or (name != key and uses[name] > 1):
            suffix = "-" + hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()[:8]
            names[key] = name[: NAME_LENGTH - len(suffix)] + suffix
    return names


def check(address: str) -> None:
    """ConnectionError unless a tracking address answers in time. MLflow itself would try for minutes."""
    ask, errors = _request(address), []

    def answer() -> None:
        try:
            ask()
        except Exception as error:
            errors.append(getattr(error, "orig", error))  # the database's own words

    thread = threading.Thread(target=answer, daemon=True)  # a name server, libpq and NFS know no time-out of ours
    thread.start()
    thread.join(CHECK_SECONDS)
    if thread.is_alive():
        errors.append(TimeoutError(f"no answer within {CHECK_SECONDS} s"))
    if errors:
        shown = re.sub(r"(?<=//)[^/]*@", "", address)  # without a password
        raise ConnectionError(f"{shown}: {errors[0]}")


def _request(address: str) -> Callable[[], None]:
    """The cheapest thing to ask of an address; nothing where it is neither a server's nor a database's."""
    scheme = re.split(r"[+:]", address)[0]
    if scheme in ("http", "https"):
        import requests

        def get() -> None:
            with contextlib.suppress(
                requests.exceptions.SSLError
            ):  # somebody answers; certificates are MLflow's to judge
                requests.get(f"{address.rstrip('/')}/health", allow_redirects=False)

        return get
    if scheme not in DATABASES:
        return lambda: None
    import sqlalchemy

    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)

    def write() -> None:
        if scheme == "sqlite":
            Path(engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        with engine.connect() as connection:
            if scheme == "sqlite":  # it connects to what is no database, or cannot be written
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.exec_driver_sql("CREATE TABLE synthpairs_check (x)")
                connection.rollback()

    return write


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
            recorder.open(message["open"], message["params"], message["started"], Path(message["failure"]))
        elif "metrics" in message:
            recorder.log(message["metrics"])
        else:
            recorder.close(message["close"])
            ended = True
    if not ended:
        recorder.close("KILLED")


if __name__ == "__main__":
    main()
