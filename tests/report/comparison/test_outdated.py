"""Answers that are older than what they were made from, in a pipeline that DVC ran."""

import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthpairs.report.comparison.revisions import EVALUATIONS, outdated_lines, resolve

ANSWERS = "reports/benchmarks/items/selected.parquet"
OTHERS = ["reports/benchmarks/items/untrained.parquet", *(f"reports/{name}.json" for name in EVALUATIONS)]
PIPELINE = f"""\
stages:
  select:
    cmd: mkdir -p data/selection/pairs && grep strategy params.yaml > data/selection/pairs/selected.parquet
    params: [select]
    outs: [data/selection]
  pretrain:
    cmd: cp data/selection/pairs/selected.parquet model
    deps: [data/selection/pairs/selected.parquet]
    outs: [model]
  benchmark:
    matrix: {{arm: [selected]}}
    cmd: cat model tasks > {ANSWERS}
    deps: [model, tasks]
    params: [benchmark.seed]
    outs: [{ANSWERS}: {{cache: false}}]
  others:
    cmd: for name in {" ".join(OTHERS)}; do echo > $name; done
    outs:
{"".join(f"    - {path}: {{cache: false}}{chr(10)}" for path in OTHERS)}"""


def run(command):
    return subprocess.run(command, shell=True, check=True, capture_output=True)


def params(strategy="top", seed=0):
    text = f"select:\n  strategy: {strategy}\nbenchmark: {{seed: {seed}, batch_size: 1}}\narms: [selected]\ntoken_arms: []\n"
    Path("params.yaml").write_text(text)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose pipeline was run to its end."""
    monkeypatch.chdir(tmp_path)
    run("git init --quiet && dvc init --quiet")
    Path(ANSWERS).parent.mkdir(parents=True)
    Path("dvc.yaml").write_text(PIPELINE)
    Path("tasks").write_text("questions\n")
    params()
    run("dvc repro --quiet")


def error():
    """Why the answers in the workspace are refused; they are no table, so they are not read to the end."""
    with pytest.raises(ValueError, match=r"^workspace: .*selected\.parquet is ") as caught:
        resolve("workspace").answers("selected")
    return str(caught.value).partition(".parquet is ")[2]


def test_answers_older_than_what_they_were_made_from_name_the_stage(project):
    assert error().startswith("no table of answers")
    params("random")
    assert error() == "outdated: stage select ran with another select.strategy than params.yaml has; run `dvc repro`"
    run("dvc repro --quiet select")
    path = "data/selection/pairs/selected.parquet"
    assert error() == f"outdated: stage pretrain ran on another {path} than stage select made; run `dvc repro`"
    run("dvc repro --quiet pretrain")
    assert (
        error() == "outdated: stage benchmark@selected ran on another model than stage pretrain made; run `dvc repro`"
    )
    run("rm -r .dvc/cache && dvc repro --quiet")
    assert error().startswith("no table of answers")
    params("random", seed=1)
    assert "stage benchmark@selected ran with another benchmark.seed than params.yaml has" in error()
    params("random")
    Path(ANSWERS).write_text("others")
    assert "outdated: stage benchmark@selected left another file, by dvc.lock" in error()


def test_a_file_in_a_folder_that_the_cache_lacks_is_trusted(project):
    params("bottom")
    run("dvc repro --quiet select && rm -r .dvc/cache")
    assert error().startswith("no table of answers")


def test_stages_that_are_no_longer_in_the_pipeline_are_left_out(project):
    lock = YAML(typ="safe").load(Path("dvc.lock"))
    lock["stages"]["align"] = {"outs": [{"path": "model", "md5": "0" * 32}]}
    with Path("dvc.lock").open("w") as file:
        YAML(typ="safe").dump(lock, file)
    assert error().startswith("no table of answers")


def test_the_report_names_results_older_than_the_selection(project):
    assert outdated_lines() == []
    params("random")
    run("dvc repro --quiet select && dvc repro --quiet --single-item others")
    path = "data/selection/pairs/selected.parquet"
    assert outdated_lines() == [
        f"> **Outdated when this page was made:** `{ANSWERS}`. Of the first: stage pretrain ran on another {path} than stage "
        "select made. `dvc repro` makes them and this page anew."
    ]
    run("dvc repro --quiet")
    assert outdated_lines() == []
    Path("dvc.lock").unlink()
    assert outdated_lines() == []
