"""Revisions are read from git, experiments by their name, the workspace from disk; the page says what differs and how surely."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthpairs.__main__ import main
from synthpairs.comparison.page import compare
from synthpairs.comparison.revisions import resolve
from synthpairs.schema import ANSWERS
from synthpairs.storage import write_table


def git(*arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def answered() -> Callable[..., None]:
    """Writes an arm's answers to the workspace: scores that are `better` by so much than those of seed 0."""

    def write(better: float, arm: str = "selected", tasks: tuple[str, ...] = ("desk_vqa",), count: int = 60) -> None:
        rng, rows = np.random.default_rng(0), []
        for task in tasks:
            for number in range(count):
                for blind in (False, True):
                    score = float(rng.random() + (0 if blind else better))
                    row = {"uid": f"{task}{number}", "task": task, "blind": blind, "concept": f"concept{number % 30}"}
                    rows.append(row | {"category": "what", "prediction": "a | b", "score": score})
        write_table(Path(f"reports/benchmarks/items/{arm}.parquet"), rows, ANSWERS)

    return write


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: Callable[..., None]) -> Path:
    """A git repository with two commits and a DVC experiment; the second commit selects at random and answers worse."""
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet", "--initial-branch=main")
    for strategy, better in (("top", 0.5), ("random", 0.0)):
        Path("params.yaml").write_text(f"select: {{strategy: {strategy}, k: 256}}\n")
        answered(better)
        git("add", "--all")
        git("commit", "--quiet", "--message", strategy)
    git("update-ref", "refs/exps/ab/cdef/bold-name", git("rev-parse", "HEAD~1"))
    return tmp_path


def test_the_page(project: Path, answered: Callable[..., None]) -> None:
    page = compare([(resolve(name), "selected") for name in ("HEAD", "bold-name", "workspace")])
    assert page.startswith("# HEAD:selected against bold-name:selected, workspace:selected\n")
    assert "| desk_vqa | bold-name:selected | 60 | +0.500 [+0.500, +0.500] | < 0.001 | 0.000 | better |" in page
    assert (
        "| desk_vqa | workspace:selected | 60 | +0.000 [+0.000, +0.000] | 1.000 | 0.000 | no difference shown |" in page
    )
    assert "| `select.strategy` | random | top | random |" in page
    assert "select.k" not in page
    assert page == compare([(resolve(name), "selected") for name in ("HEAD", "bold-name", "workspace")])


def test_arms_of_one_revision(project: Path, answered: Callable[..., None]) -> None:
    answered(-0.2, "real")
    page = compare([(resolve("workspace"), "selected"), (resolve("workspace"), "real")])
    assert "| desk_vqa | workspace:real | 60 | -0.200 " in page
    assert "worse |" in page
    assert "None: the same params.yaml." in page


def test_only_tasks_that_both_answered_are_compared(project: Path, answered: Callable[..., None]) -> None:
    answered(0.0, tasks=("desk_pope", "desk_vqa"))
    subjects = [(resolve(name), "selected") for name in ("HEAD", "workspace")]
    assert "desk_pope" not in compare(subjects)
    answered(0.0, tasks=("desk_pope",))
    with pytest.raises(ValueError, match="HEAD:selected, workspace:selected share no benchmark"):
        compare(subjects)


def test_what_cannot_be_compared_is_named(project: Path, answered: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="nonsense is neither workspace, nor a DVC experiment"):
        resolve("nonsense")
    with pytest.raises(ValueError, match="at least two different ones"):
        compare([(resolve("HEAD"), "selected")] * 2)
    with pytest.raises(FileNotFoundError, match=r"HEAD \(\w{7}\) holds no reports/benchmarks/items/real\.parquet"):
        compare([(resolve("HEAD"), "real"), (resolve("workspace"), "real")])
    answered(0.0, count=59)
    with pytest.raises(
        ValueError, match="desk_vqa: HEAD:selected and workspace:selected: only answers to the same items"
    ):
        compare([(resolve("HEAD"), "selected"), (resolve("workspace"), "selected")])
    Path("reports/benchmarks/items/selected.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"workspace: .*selected\.parquet is no table of answers"):
        compare([(resolve("HEAD"), "selected"), (resolve("workspace"), "selected")])


def test_an_experiment_of_two_commits_is_ambiguous(project: Path) -> None:
    git("update-ref", "refs/exps/12/3456/bold-name", git("rev-parse", "HEAD"))
    with pytest.raises(ValueError, match="bold-name names 2 experiments"):
        resolve("bold-name")


def test_the_command_prints_or_writes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "HEAD", "HEAD~1"]) == 0
    printed = capsys.readouterr().out
    assert main(["compare", "HEAD", "HEAD~1:selected", "--out", "reports/comparison.md"]) == 0
    assert Path("reports/comparison.md").read_text() == printed
    assert main(["compare", "HEAD", "HEAD~1", "--arm", "real"]) == 1


def test_a_project_within_a_larger_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answered: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "mono repo/vision/synth pairs"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    git("-C", str(tmp_path / "mono repo"), "init", "--quiet")
    Path("params.yaml").write_text("select: {strategy: top}\n")
    answered(0.5)
    git("add", "--all")
    git("commit", "--quiet", "--message", "one")
    git("update-ref", "refs/exps/ab/cdef/bold-name", git("rev-parse", "HEAD"))
    Path("params.yaml").write_text("select: {strategy: random}\n")
    assert main(["compare", "HEAD", "bold-name", "workspace"]) == 0
    assert "| `select.strategy` | top | top | random |" in capsys.readouterr().out


def test_what_git_says_is_passed_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"holds no .*real\.parquet: git: path '.*real\.parquet' does not exist in"
    ):
        resolve("HEAD").answers("real")
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try it without another user
    with pytest.raises(OSError, match=r"git: detected dubious ownership in repository at .* safe\.directory"):
        resolve("HEAD")


def test_a_revision_whose_params_cannot_be_read_is_named(project: Path) -> None:
    Path("params.yaml").write_text("select: [\n")
    with pytest.raises(ValueError, match=r"workspace: params\.yaml: not valid YAML: line 2: "):
        compare([(resolve("HEAD"), "selected"), (resolve("workspace"), "selected")])
