"""The doctor finds what is broken, names it, and finds nothing in the project as it is."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthpairs import doctor
from synthpairs.__main__ import main

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's params and pinned packages, its desk models, and .dvc, with no git around them."""
    for name in ("params.yaml", "packages.lock.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/desk").symlink_to(ROOT / "models/desk")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def faults() -> dict[str, str]:
    return {finding.what: finding.fault for finding in doctor.examine() if finding.fault}


def test_every_section_has_its_dataclass() -> None:
    assert set(YAML(typ="safe").load(ROOT / "params.yaml")) == set(doctor.SECTIONS)


def test_the_project_as_it_is(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = faults()
    assert found == {"git repository": "there is none: `git init`, or clone the project"}
    assert any(finding.what.startswith("cores: ") for finding in doctor.examine())
    monkeypatch.setattr(doctor, "DISK", 1e9)
    monkeypatch.setattr(doctor, "MEMORY", 1e9)
    assert sorted(what.split(":")[0] for what in faults()) == ["disk", "git repository", "memory"]


def test_broken_params_are_each_named(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    text = text.replace("strategy: top ", "strategy: best ").replace("\nreport:\n", "\nraport:\n")
    (project / "params.yaml").write_text(text)
    found = faults()
    assert "params.yaml: select.strategy must be one of top" in found["params.yaml: select"]
    assert found["params.yaml: report"] == "params.yaml: section 'report' is missing"
    assert "is the name misspelt" in found["params.yaml: raport"]


def test_models_that_are_not_there(project: Path) -> None:
    text = (project / "params.yaml").read_text()
    text = text.replace("generator: models/desk/generator", "generator: models/nothing")
    text = text.replace("generator: models/desk/masked", "generator: amused/amused-256@abc")
    (project / "params.yaml").write_text(text)
    assert faults()["images.generator: models/nothing"].startswith("is no directory")
    assert any(finding.what.endswith("amused-256@abc, to be fetched from its hub") for finding in doctor.examine())


def test_the_command_ends_with_1_when_something_is_wrong(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "FAIL git repository" in lines
    assert any(line.startswith("ok   images.generator: models/desk/generator") for line in lines)


def test_without_params_there_is_one_finding_not_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "params.yaml" in faults()["params"]
