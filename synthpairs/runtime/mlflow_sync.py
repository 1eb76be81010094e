"""Record in MLflow the stages of dvc.lock that DVC restored from its cache: they did not run, so they logged nothing.

`python -m synthpairs mlflow-sync` is idempotent.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from synthpairs.core.config import read_mapping
from synthpairs.runtime.mlflow_store import Execution, Store, mlflow_names, where_to_look
from synthpairs.runtime.settings import origin
from synthpairs.runtime.tracking import quietly, tracking_on

log = logging.getLogger(__name__)
LOCK = Path("dvc.lock")
ENTRY, SHA256 = "dvc.lock.entry", "dvc.lock.sha256"  # tags of a stage's run and of the parent run


def sync() -> None:
    """Give every stage of dvc.lock a child run with its hashes, and say where to look at the runs.

    A stage that ran in this execution gets the hashes of its inputs and outputs; one that did not gets a run marked
    `dvc.restored`, with the params of dvc.lock, the numbers of its metrics files, and its pages and figures as artifacts.
    An unusable MLflow is one warning. FileNotFoundError without a dvc.lock.
    """
    if not LOCK.exists():
        raise FileNotFoundError(f"{LOCK} is missing: run `dvc repro` first")
    if not tracking_on():
        log.info("tracking is off (%s)", origin("tracking"))
        return
    with quietly("nothing is recorded"):
        store, stages = Store(Execution.current()), _stages()
        restored = sum(_record(store, name, entry) for name, entry in stages.items())
        store.client.set_tag(store.parent, SHA256, hashlib.sha256(LOCK.read_bytes()).hexdigest())
        store.client.set_terminated(store.parent, "FINISHED")
        store.save_view()
        log.info("MLflow holds all %d stages of %s, %d added as restored from DVC's cache", len(stages), LOCK, restored)
        log.info("to look at them: %s", where_to_look(store.address, store.experiment))


def _stages() -> dict[str, Any]:
    """The entries of dvc.lock by stage, without those of stages that dvc.yaml no longer has, which DVC keeps."""
    from dvc.repo import Repo

    with Repo() as repo:
        names = {stage.name for stage in repo.stage.collect("dvc.yaml")}
    return {name: entry for name, entry in read_mapping(LOCK).get("stages", {}).items() if name in names}


def _metrics(entry: dict[str, Any]) -> dict[str, Any]:
    """The contents of a stage's metrics files, except of those that dvc.lock has another hash of."""
    numbers: dict[str, Any] = {}
    for out in entry.get("outs", []):
        path = Path(out["path"])
        if path.parts[0] == "reports" and path.suffix == ".json" and path.exists():
            payload = path.read_bytes()
            if hashlib.md5(payload, usedforsecurity=False).hexdigest() == out.get("md5"):
                numbers |= json.loads(payload)
            else:
                log.warning("%s differs from %s, its numbers are not recorded; see `dvc status`", path, LOCK)
    return numbers


def _record(store: Store, name: str, entry: dict[str, Any]) -> bool:
    """Make sure that the stage has a run in this state; returns whether one had to be added."""
    digest = hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()
    run = store.finished_run(name)
    recorded = run.data.tags.get(ENTRY) if run else None
    if recorded == digest:
        return False
    restored = run is None or recorded is not None  # it did not run in this execution, or in another state
    if restored:
        params = {key: value for values in entry.get("params", {}).values() for key, value in values.items()}
        run_id = store.add_run(name, "FINISHED", params, _metrics(entry), restored=True)
        with quietly(f"the artifacts of {name} are not kept"):
            store.log_artifacts(run_id, name)
    else:
        run_id = run.info.run_id
    _tag_hashes(store, run_id, entry)
    store.client.set_tag(run_id, ENTRY, digest)  # last: a sync that was killed half-way starts over
    return restored


def _tag_hashes(store: Store, run: str, entry: dict[str, Any]) -> None:
    from mlflow.entities import Dataset, DatasetInput

    outs = {f"dvc.out.{out['path']}": out["md5"] for out in entry.get("outs", [])}
    for key, name in mlflow_names(outs).items():
        store.client.set_tag(run, name, outs[key])
    inputs = [
        DatasetInput(Dataset(name=dep["path"], digest=dep["md5"], source_type="dvc", source=json.dumps(dep)), tags=[])
        for dep in entry.get("deps", [])
        if not dep["path"].endswith(".py")
    ]
    if inputs:
        store.client.log_inputs(run, inputs)
