"""`mlflow-sync` records in MLflow what DVC restored from its cache."""

import json
import re
import sys
from hashlib import md5
from pathlib import Path

import pytest
from dvc.repo import Repo

from synthpairs.runtime.mlflow_store import Execution, Store, where_to_look
from synthpairs.runtime.mlflow_sync import sync
from tests.runtime.conftest import parent_and_children, run_as, warnings


def lock_of(stages, gone=()):
    """Write a dvc.lock with a metrics file per stage, as DVC does, and a dvc.yaml with all stages but those that are gone."""
    if not Path(".dvc").exists():
        Repo.init(no_scm=True).close()
    names = {name: {"cmd": "true"} for name in stages if name not in gone and "@" not in name}
    arms = {name.split("@")[0]: {"foreach": ["selected"], "do": {"cmd": "true"}} for name in stages if "@" in name}
    Path("dvc.yaml").write_text(json.dumps({"stages": names | arms}))
    entries = {}
    for name, rate in stages.items():
        path = Path(f"reports/metrics/{name.split('@')[0]}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"rate": rate}))
        deps = [{"path": "data/raw", "md5": "a" * 32 + ".dir"}, {"path": "stages/x.py", "md5": "b" * 32}]
        outs = [{"path": str(path), "md5": md5(path.read_bytes()).hexdigest()}]
        entries[name] = {"cmd": "true", "deps": deps, "params": {"params.yaml": {"x.weight": 0.5}}, "outs": outs}
    Path("dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": entries}))


def test_sync_adds_what_dvc_restored_and_is_idempotent(workspace, monkeypatch, caplog):
    run_as("emoji", monkeypatch, lambda: {"rate": 1})
    lock_of({"emoji": 1.0, "pretrain@selected": 2.0})
    sync()
    sync()
    parent, (emoji, pretrain) = parent_and_children()
    assert "dvc.restored" not in emoji.data.tags
    assert pretrain.data.tags["dvc.restored"] == "true"
    assert pretrain.data.params == {"x.weight": "0.5"}
    assert pretrain.data.metrics == {"rate": 2.0}
    assert parent.data.metrics == {}
    assert len(emoji.data.tags["dvc.out.reports/metrics/emoji.json"]) == 32
    assert [entry.dataset.name for entry in pretrain.inputs.dataset_inputs] == ["data/raw"]
    assert parent.info.status == pretrain.info.status == "FINISHED"
    assert warnings(caplog) == []


def test_the_parent_run_has_the_headline_numbers_of_stage_report_and_no_others(workspace, monkeypatch):
    run_as("emoji", monkeypatch, lambda: {"drawings": 3})
    run_as("report", monkeypatch, lambda: {"captions": {"kept": 5}})
    parent, (_, report) = parent_and_children()
    assert parent.data.metrics == {"captions/kept": 5.0}
    assert {"captions/kept", "run/seconds"} <= set(report.data.metrics)
    lock_of({"emoji": 1.0, "report": 2.0})
    sync()
    assert parent_and_children()[0].data.metrics == {"captions/kept": 5.0}, "the runs of this execution are kept"
    lock_of({"emoji": 1.0, "report": 3.0})
    sync()
    assert parent_and_children()[0].data.metrics == {"captions/kept": 5.0, "rate": 3.0}


def test_the_table_of_runs_has_columns_of_the_headline_numbers(workspace, monkeypatch):
    """In the form in which MLflow's page reads a shared view from an experiment's tags."""
    run_as("report", monkeypatch, lambda: {"captions": {"kept": 5}, "selected": {"pairs": 2, "desk_vqa": 0.5}})
    store = Store(Execution.current())

    def view():
        return json.loads(store.client.get_experiment(store.experiment).tags["mlflow.sharedViewState.headline"])

    columns = ["metrics.`selected/desk_vqa`", "metrics.`selected/pairs`", "metrics.`captions/kept`"]
    assert view() == {"selectedColumns": columns}
    store._log_metrics(store.parent, {f"an arm with a long name {number:03}/desk_caption": 1 for number in range(200)})
    store.save_view()
    assert len(view()["selectedColumns"]) == 40


def test_sync_says_where_to_look_at_the_runs(workspace, caplog):
    lock_of({"emoji": 1.0})
    caplog.set_level("INFO")
    sync()
    assert re.fullmatch(
        r"to look at them: `mlflow ui --backend-store-uri sqlite:///\S+/mlflow\.db`, then "
        r"http://127\.0\.0\.1:5000/#/experiments/1/runs\?viewStateShareKey=headline",
        caplog.messages[-1],
    )
    link = "http://host:80/#/experiments/7/runs?viewStateShareKey=headline"
    assert where_to_look("http://me:sesame@host:80/", "7") == link


def test_pages_and_figures_are_kept_with_the_run(workspace, monkeypatch):
    pages = ("gallery/index.html", "gallery/pictures/a.webp", "README.md", "figures/arms.png", "experiments/seeds.md")
    for page in pages:
        path = Path("reports") / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page)
    run_as("gallery", monkeypatch)
    lock_of({"gallery": 1.0, "report": 2.0})
    sync()
    _, (gallery, report) = parent_and_children()
    client = Store(Execution.current()).client

    def artifacts(run, folder):
        return [entry.path for entry in client.list_artifacts(run.info.run_id, folder)]

    assert artifacts(gallery, "reports/gallery") == ["reports/gallery/index.html", "reports/gallery/pictures"]
    assert artifacts(report, "reports") == ["reports/README.md", "reports/figures"], (
        "logged by sync, because the stage was restored; experiments are not of this run"
    )


def test_sync_records_other_states_of_a_stage_but_nothing_outdated(workspace, caplog):
    """Outdated are stages and arms that dvc.yaml no longer has, and metrics files with another hash than dvc.lock's."""
    lock_of({"emoji": 1.0})
    sync()
    lock_of({"emoji": 3.0, "gone": 2.0, "pretrain@random": 2.0}, gone=["gone"])
    sync()
    lock_of({"emoji": 4.0})
    Path("reports/metrics/emoji.json").write_text('{"rate": 9}')
    sync()
    _, runs = parent_and_children()
    assert [run.info.run_name for run in runs] == ["emoji"] * 3
    assert [run.data.metrics.get("rate") for run in runs] == [1.0, 3.0, None]
    assert "reports/metrics/emoji.json differs from dvc.lock" in warnings(caplog)[0]


def test_sync_without_mlflow_warns_and_without_a_lock_is_an_error(workspace, monkeypatch, caplog):
    with pytest.raises(FileNotFoundError, match=r"dvc\.lock is missing: run `dvc repro` first"):
        sync()
    lock_of({"emoji": 1.0})
    monkeypatch.setitem(sys.modules, "mlflow.client", None)
    sync()
    assert len(warnings(caplog)) == 1
