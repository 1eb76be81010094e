"""Experiments as in README.md: in the workspace, a copy and the queue; shown, compared, applied and undone."""

import csv
import io
import json
import time

import pandas as pd

from tests.flows.project import ran
from tests.flows.test_1_smoke import execution, mlflow_client


def shown(smoke):
    """The table of experiments by name."""
    rows = csv.DictReader(io.StringIO(smoke.project.run("dvc exp show --csv --no-pager")))
    return {row["Experiment"] or row["rev"]: row for row in rows}


def test_another_strategy_runs_the_stages_after_the_selection(smoke):
    printed = smoke.project.run("dvc exp run -n ssim -S select.strategy=ssim-only", seconds=2400)
    assert {"select", "pretrain@selected", "benchmark@selected", "report"} <= set(ran(printed))
    assert not {"emoji", "captions", "images", "scores", "generate_tokens", "finetune_tokens@genpair"} & set(
        ran(printed)
    )
    assert "params.yaml" in smoke.project.changes()
    chosen = pd.read_parquet(smoke.project.path / "data/export/selected.parquet")
    assert len(chosen) == 12
    (row,) = (row for name, row in shown(smoke).items() if name == "ssim")
    assert row["select.strategy"] == "ssim-only"
    client = mlflow_client(smoke.project)
    parent, children = execution(client, "ssim")
    assert parent.info.run_name.startswith("ssim")
    assert parent.data.params["select.strategy"] == children["select"].data.params["strategy"] == "ssim-only"
    assert {name: run.info.status for name, run in children.items()} == dict.fromkeys(ran(printed), "FINISHED")
    artifacts = [item.path for item in client.list_artifacts(children["report"].info.run_id, "reports")]
    assert "reports/README.md" in artifacts


def test_comparisons_of_the_workspace_with_the_commit(smoke):
    """The workspace is as `dvc exp run` left it."""
    project = smoke.project
    page = project.run("python -m synthpairs compare HEAD ssim workspace")
    assert "select.strategy" in page
    assert "desk_vqa" in page
    project.run("python -m synthpairs compare HEAD HEAD:real")
    project.run("python -m synthpairs compare HEAD:real ssim:real --out reports/comparison.md")
    assert "desk_vqa" in (project.path / "reports/comparison.md").read_text()
    (project.path / "reports/comparison.md").unlink()
    assert json.loads(project.run("dvc params diff --json"))["params.yaml"]["select.strategy"] == {
        "old": "top",
        "new": "ssim-only",
    }
    assert "reports/metrics/select.json" in json.loads(project.run("dvc metrics diff --json"))
    headline = json.loads(project.run("dvc metrics diff HEAD ssim --targets reports/headline.json --all --json"))
    assert "clip_cosine" in str(headline["reports/headline.json"])
    assert "select.strategy" in project.run("dvc exp diff HEAD ssim")
    project.run("dvc plots diff HEAD ssim")
    assert "ssim" in (project.path / "dvc_plots/index.html").read_text()


def test_an_experiment_is_undone_and_applied(smoke):
    project = smoke.project
    project.run("git checkout -- .\ndvc checkout")
    assert project.changes() == []
    assert ran(project.run("dvc repro")) == []
    project.run("dvc exp apply ssim")
    assert json.loads(project.run("dvc params diff --json"))["params.yaml"]["select.strategy"]["new"] == "ssim-only"
    assert ran(project.run("dvc repro")) == []
    project.run("git checkout params.yaml dvc.lock reports && dvc checkout")
    assert project.changes() == []


def test_experiments_in_a_copy_and_in_the_queue(smoke):
    project = smoke.project
    project.run("dvc exp run --queue -n few -S gallery.limit=6")
    project.run("dvc queue start")
    assert ran(project.run("dvc exp run --temp -n coarse -S gallery.quality=80")) == ["gallery"]
    deadline = time.monotonic() + 600
    while "Success" not in project.run("dvc queue status"):
        assert time.monotonic() < deadline, project.run("dvc queue status\ndvc queue logs few")
        time.sleep(2)
    assert project.changes() == [], "the workspace is unchanged"
    table = shown(smoke)
    assert table["few"]["gallery.limit"] == "6"
    assert table["coarse"]["gallery.quality"] == "80"
    table_of_changes = project.run(
        r"dvc exp show --only-changed --drop '(?!Experiment|select\.|selected\.)' --no-pager"
    )
    assert max(map(len, table_of_changes.splitlines())) <= 120, "as wide as a terminal"
    assert "few" in table_of_changes
    assert "select.strategy" in table_of_changes
    assert "gallery" not in table_of_changes


def test_a_preset_as_flags(smoke):
    """The project has its values already, so no stage runs."""
    assert ran(smoke.project.run("dvc exp run $(python -m synthpairs preset smoke --as-flags)")) == []
    smoke.project.run("git checkout -- .")
