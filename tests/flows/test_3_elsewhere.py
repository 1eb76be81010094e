"""Versions published and fetched as in docs/dataset-versions.md, a clone, and a folder of a larger repository."""

import re
import shlex

import pandas as pd
import pytest

from tests.flows.project import page_about_versions, ran


@pytest.fixture(scope="module")
def published(smoke):
    """The project with experiment `ssim` as a second version in the store; the first is checked out."""
    project = smoke.project
    project.run("dvc exp apply ssim")
    project.run(page_about_versions()["publish v2"])
    project.run("dvc push")
    project.run("git checkout --quiet v1\ndvc checkout\ndvc push")
    assert "in sync" in project.run("dvc status --cloud data/export")
    assert project.changes() == []
    return project


def chosen(project):
    """Captions of the selected pairs, by key."""
    table = pd.read_parquet(project.path / "data/export/selected.parquet")
    return dict(zip(table["key"], table["text"], strict=True))


def test_a_version_is_fetched_without_a_project_and_read_for_training(published, tmp_path):
    code, elsewhere = page_about_versions(), published.at(tmp_path)
    elsewhere.run(code["elsewhere"])
    (tmp_path / "train.py").write_text(code["train"])
    lines = elsewhere.run("python train.py").splitlines()
    assert dict(re.fullmatch(r"(\w+) \(64, 64\) (.+)", line).groups() for line in lines) == chosen(published)
    elsewhere.run("rm -r pairs\n" + code["elsewhere"].replace("v1", "v2"))
    assert set(pd.read_parquet(tmp_path / "pairs/selected.parquet")["key"]) != set(chosen(published))


def test_a_version_is_imported_and_updated(published, tmp_path):
    elsewhere = published.at(tmp_path)
    elsewhere.run('dvc init --quiet --no-scm\ndvc import --rev v1 "$URL" data/export --out pairs')
    first = set(pd.read_parquet(tmp_path / "pairs/selected.parquet")["key"])
    elsewhere.run("dvc update --rev v2 pairs.dvc")
    assert first == set(chosen(published))
    assert set(pd.read_parquet(tmp_path / "pairs/selected.parquet")["key"]) != first


def test_versions_are_compared(published):
    printed = published.run(page_about_versions()["compare"])
    for name in ("data/export/llava.json", "data/export/selected.parquet"):
        assert name in printed.split("Modified:")[1].split("\n\n")[0]
    assert re.search(r"select.strategy +top +ssim-only", printed)
    assert "reports/metrics/select.json" in printed


def test_a_clone_pulls_everything_and_has_nothing_to_do(published, tmp_path):
    published.run(f'git clone --quiet --branch v1 "$URL" {shlex.quote(str(tmp_path / "clone"))}')
    clone = published.at(tmp_path / "clone")
    assert "ERROR" not in clone.run("dvc pull")
    assert "ERROR" not in clone.run("dvc checkout")
    assert chosen(clone) == chosen(published)
    assert ran(clone.run("dvc repro")) == []
    clone.run("git checkout --quiet v2\ndvc pull")
    assert chosen(clone) != chosen(published)
    assert ran(clone.run("dvc repro")) == []
    clone.run("dvc gc --workspace --all-tags --force\ndvc config cache.type reflink,hardlink\ndvc checkout --relink")
    clone.run("git checkout --quiet -- .\ngit checkout --quiet v1\ndvc checkout")
    assert chosen(clone) == chosen(published)


@pytest.fixture(scope="module")
def folder(published, tmp_path_factory):
    """The first version in a folder of a larger repository, with spaces in both names and the project's cache."""
    outer = published.at(tmp_path_factory.mktemp("a") / "larger repository")
    path = outer.path / "synth pairs"
    path.mkdir(parents=True)
    published.run(f"git archive v1 | tar --extract --directory {shlex.quote(str(path))}")
    (outer.path / "README").write_text("Another project.\n")
    outer.run("git init --quiet --initial-branch main")
    outer.commit("all projects")
    project = outer.at(path)
    project.share_packages()
    project.run(f"dvc config --local cache.dir {shlex.quote(str(published.path / '.dvc/cache'))}")
    return project


def test_in_a_folder_of_a_larger_repository_results_come_from_the_cache(folder, published):
    folder.run("dvc checkout")
    assert ran(folder.run("dvc repro")) == []
    assert chosen(folder) == chosen(published)
    assert folder.changes() == []


def test_in_a_folder_of_a_larger_repository_experiments_run_and_are_compared(folder):
    assert ran(folder.run("dvc exp run -n fine -S gallery.quality=95")) == ["gallery"]
    assert "gallery.quality" in folder.run("python -m synthpairs compare HEAD fine workspace")
    folder.run("git checkout -- .")
    assert ran(folder.run("dvc exp run --temp -n coarser -S gallery.quality=70")) == ["gallery"]
    assert "gallery.quality" in folder.run("dvc exp diff HEAD coarser")
