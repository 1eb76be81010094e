"""Comparison of git revisions, experiments by name and the workspace."""

import hashlib
import subprocess
from pathlib import Path

import numpy as np
import pytest

from synthpairs.__main__ import main
from synthpairs.core.schema import ANSWERS
from synthpairs.core.storage import write_json, write_table
from synthpairs.report.comparison.page import compare
from synthpairs.report.comparison.revisions import resolve

ITEMS = Path("reports/benchmarks/items")


def git(*arguments):
    who = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
    return subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def answer(better, arm="selected", tasks=("desk_vqa",), count=60):
    """Write an arm's answers to the workspace: scores that are `better` by so much than those of seed 0."""
    rng = np.random.default_rng(0)
    rows = [
        {"uid": f"{task}{number}", "task": task, "blind": blind, "concept": f"concept{number % 30}", "category": "what",
         "prediction": "a | b", "score": float(rng.random() + (0 if blind else better))}
        for task in tasks
        for number in range(count)
        for blind in (False, True)
    ]  # fmt: skip
    write_table(ITEMS / f"{arm}.parquet", rows, ANSWERS)
    measure(arm, *tasks)
    lock()


def measure(arm, *tasks, metric="accuracy", higher_is_better=True):
    """Write what the arm's benchmarks measure to the workspace."""
    numbers = {"metric": metric, "higher_is_better": higher_is_better}
    write_json(ITEMS.parent / f"{arm}.json", dict.fromkeys(tasks, numbers))


def lock():
    """Write dvc.lock as if each file of answers had just been made; JSON is YAML."""
    outs = {file.stem: hashlib.md5(file.read_bytes()).hexdigest() for file in sorted(ITEMS.glob("*.parquet"))}
    stages = {
        f"benchmark@{arm}": {"outs": [{"path": f"{ITEMS}/{arm}.parquet", "md5": md5}]} for arm, md5 in outs.items()
    }
    write_json(Path("dvc.lock"), {"stages": stages})


def not_a_table():
    (ITEMS / "selected.parquet").write_bytes(b"PAR1")
    lock()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder of a git repository with two commits and an experiment; the second selects at random and answers worse."""
    folder = tmp_path / "mono repo/vision/synth pairs"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    git("-C", str(tmp_path / "mono repo"), "init", "--quiet", "--initial-branch=main")
    write_json(Path("dvc.yaml"), {"stages": {"benchmark": {}}})
    for strategy, better in (("top", 0.5), ("random", 0.0)):
        Path("params.yaml").write_text(f"select: {{strategy: {strategy}, k: 256}}\n")
        answer(better)
        git("add", "--all")
        git("commit", "--quiet", "--message", strategy)
    git("update-ref", "refs/exps/ab/cdef/bold-name", git("rev-parse", "HEAD~1"))


def page_of(*names):
    return compare([(resolve(name), arm or "selected") for name, _, arm in (name.partition(":") for name in names)])


def test_the_page(project):
    page = page_of("HEAD", "bold-name", "workspace")
    title, conclusion, *_ = page.split("\n\n")
    assert title == "# bold-name:selected, workspace:selected against HEAD:selected"
    assert conclusion == (
        "**`bold-name:selected` is better on desk_vqa than `HEAD:selected`.** "
        "**`workspace:selected` is not shown to be better or worse than `HEAD:selected`.**"
    )
    assert "| task | measure | n | HEAD:selected | bold-name:selected | workspace:selected |" in page
    assert "\n| desk_vqa | accuracy | 60 | " in page
    row = "| desk_vqa | {}:selected - HEAD:selected | 60 | {} | 0.000 | {} |"
    assert row.format("bold-name", "+0.500 [+0.500, +0.500] | < 0.001", "bold-name:selected is better") in page
    assert row.format("workspace", "+0.000 [+0.000, +0.000] | 1.000", "no difference shown") in page
    assert "| `select.strategy` | random | top | random |" in page
    assert "select.num_pairs" not in page
    assert page == page_of("HEAD", "bold-name", "workspace")


def test_arms_of_one_revision(project):
    answer(-0.2, "real")
    page = page_of("workspace", "workspace:real")
    assert "| desk_vqa | workspace:real - workspace:selected | 60 | -0.200 " in page
    assert "| workspace:selected is better |" in page
    assert "None: the same params.yaml." in page


def test_tasks_that_not_all_answered_are_named(project):
    answer(-0.2, "real", tasks=("desk_vqa", "desk_pope", "desk_sqa"))
    page = page_of("workspace", "workspace:real")
    assert "\n\nNot compared, as not all answered them by one measure: desk_pope, desk_sqa.\n\n" in page
    assert "Not compared" not in page_of("workspace", "HEAD")


def test_of_a_measure_like_perplexity_the_lower_value_is_better(project):
    answer(0.2, "real")
    for arm in ("selected", "real"):
        measure(arm, "desk_vqa", metric="word_perplexity", higher_is_better=False)
    page = page_of("workspace", "workspace:real")
    assert "\n| desk_vqa | word_perplexity, lower is better | 60 | " in page
    assert "| +0.200 [+0.200, +0.200] | < 0.001 | 0.000 | workspace:selected is better |" in page


def test_a_task_without_scores_of_single_answers_is_not_compared(project):
    answer(0.2, "real")
    for arm in ("selected", "real"):
        measure(arm, "desk_vqa", "mmbench_en_dev_static")
    page = page_of("workspace", "workspace:real")
    assert "| desk_vqa |" in page
    assert "mmbench" not in page


def test_params_are_text_in_the_table(project):
    sources = 'captions: {sources: [{name: "BBC | <b>News</b>\\n# Title"}]}'
    Path("params.yaml").write_text(f"select: {{strategy: '`[a](b)', k: 256, shares: [0.5, 2]}}\n{sources}\n")
    lines = page_of("HEAD", "workspace").splitlines()
    (row,) = (line for line in lines if line.startswith("| `captions.sources` |"))
    assert r"BBC \| \<b\>News\</b\>" in row
    assert r"| `select.strategy` | random | \`\[a\](b) |" in lines
    assert "| `select.shares` | (absent) | [0.5, 2] |" in lines
    assert not any(line.startswith("# Title") for line in lines)


def test_only_tasks_that_both_answered_are_compared(project):
    answer(0.0, tasks=("desk_pope", "desk_vqa"))
    assert "| desk_pope" not in page_of("HEAD", "workspace")


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        ("nonsense HEAD", None, "'nonsense' is neither workspace, nor a DVC experiment"),
        ("HEAD HEAD", None, "two different revisions or arms"),
        ("HEAD HEAD~1:real", None, "^HEAD~1: no answers of 'real'; arms in dvc.lock: selected$"),
        ("HEAD workspace:real", None, "^workspace: no answers of 'real'"),
        ("HEAD workspace", Path("dvc.lock").unlink, r"dvc\.lock is missing in the workspace: run `dvc repro` first"),
        ("HEAD workspace", (ITEMS / "selected.parquet").unlink, r"selected\.parquet is missing in the workspace: run"),
        ("HEAD workspace", lambda: Path("dvc.yaml").write_text("{stages: {}}"), "arms in dvc.lock: none"),
        ("HEAD workspace", lambda: answer(0, tasks=("desk_pope",)), "HEAD:.*, workspace:.* share no benchmark"),
        ("HEAD workspace", lambda: measure("selected", "desk_vqa", metric="cider_d"), "share no benchmark with one"),
        ("HEAD workspace", lambda: write_json(ITEMS.parent / "selected.json", {"desk_vqa": {}}), "no results of"),
        ("HEAD workspace", lambda: answer(0, count=59), "desk_vqa: HEAD:.* and workspace:.*: only answers to the same"),
        ("HEAD workspace", not_a_table, "is no table of answers"),
        ("HEAD workspace", lambda: Path("params.yaml").write_text("a: [\n"), r"params\.yaml: not valid YAML: line 2: "),
        ("HEAD bold-name", lambda: git("update-ref", "refs/exps/1/2/bold-name", "HEAD"), "names 2 experiments"),
    ],
)
def test_what_cannot_be_compared_is_named(project, names, change, message):
    if change:
        change()
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        page_of(*names.split())


def test_the_command_prints_or_writes(project, capsys):
    assert main(["compare", "HEAD", "HEAD~1"]) == 0
    printed = capsys.readouterr().out
    assert main(["compare", "HEAD", "HEAD~1:selected", "--out", "reports/comparison.md"]) == 0
    assert Path("reports/comparison.md").read_text() == printed
    assert main(["compare", "HEAD", "HEAD~1", "--arm", "real"]) == 1


def test_gits_own_reason_is_passed_on(project, monkeypatch):
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try it without another user
    with pytest.raises(OSError, match=r"git: detected dubious ownership in repository at .* safe\.directory"):
        resolve("HEAD")
