"""The page names the preset that params.yaml has, in the words of the preset's file."""

import shutil
from pathlib import Path

import pytest

from synthpairs.cli import presets
from synthpairs.report.preset import preset_lines

ROOT = Path(__file__).parents[2]
SMOKE = "> **Made with the preset `smoke`.** A test that everything runs; its numbers mean nothing."


@pytest.fixture
def root(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "presets", tmp_path / "presets")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)


def test_params_as_committed_are_of_no_preset(root):
    assert preset_lines() == []


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "presets").glob("*.yaml")))
def test_a_preset_is_named_with_its_sentence(root, name):
    presets.apply(name)
    (line,) = preset_lines()
    assert line.startswith(f"> **Made with the preset `{name}`.** ")
    assert line.endswith(".")
    assert (line == SMOKE) == (name == "smoke")


def test_a_preset_of_which_a_value_differs_is_not_named(root):
    presets.apply("smoke")
    params = Path("params.yaml").read_text()
    Path("params.yaml").write_text(params.replace("num_pairs: 12", "num_pairs: 13", 1))
    assert preset_lines() == []


def test_a_preset_without_a_comment_is_named(root):
    Path("presets/mine.yaml").write_text("images: {candidates: 1}\n")
    assert preset_lines() == ["> **Made with the preset `mine`.**"]
