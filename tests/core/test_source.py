"""The hash of the code behind a program: it changes with every file that the program can run, and with no other."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.core.source import PACKAGES, RUNTIME, import_closure, source_hash

ROOT = Path(__file__).parents[2]
HASH = "from synthpairs.core.source import source_hash; print(source_hash({!r}))"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code, to be edited."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hash_in(tree: Path, program: str) -> str:
    done = subprocess.run([sys.executable, "-c", HASH.format(program)], cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("program", "edited", "changes"),
    [
        ("stages.scores", "stages/scores.py", True),
        ("stages.scores", "synthpairs/scoring/ssim.py", True),
        ("stages.captions", "synthpairs/captions/flagged_words.txt", True),
        ("stages.finetune", "synthpairs/vlm/training.py", True),
        ("stages.scores", "synthpairs/report/page.py", False),
        ("stages.scores", "synthpairs/runtime/progress.py", False),
        ("stages.images", "synthpairs/runtime/engine/run.py", False),
        ("", "synthpairs/report/page.py", True),
    ],
)
def test_an_edit_changes_the_hash_of_the_programs_that_run_it(
    tree: Path, program: str, edited: str, changes: bool
) -> None:
    before, text = hash_in(tree, program), (tree / edited).read_text()
    try:
        (tree / edited).write_text(text + "\n# a word more\n")
        assert (hash_in(tree, program) != before) == changes
    finally:
        (tree / edited).write_text(text)


def test_the_running_program_is_the_default(tree: Path) -> None:
    (tree / "stages/probe.py").write_text("from synthpairs.core.source import source_hash\nprint(source_hash())\n")
    done = subprocess.run([sys.executable, "-m", "stages.probe"], cwd=tree, capture_output=True, text=True)
    assert done.stdout == hash_in(tree, "stages.probe") != hash_in(tree, "")
    assert source_hash() == source_hash(""), "pytest is no program of ours: all code counts"


def test_what_only_runs_or_shows_a_thing_is_left_out() -> None:
    closure = import_closure(Path("stages/images.py"))
    assert Path("synthpairs/generation/diffusion/generator.py") in closure
    assert (ROOT / "synthpairs" / RUNTIME).is_dir()
    assert not [path for path in closure if path.parts[0] == "synthpairs" and path.parts[1] == RUNTIME]


def test_a_recipe_stands_for_the_code_of_candidates_alone() -> None:
    """Whoever adds a store of another kind gets the rule; for an exception there must be a test of the recipe's results."""
    exceptions = set()
    for path in sorted((ROOT / "synthpairs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            named = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "WorkStore"
            if named and (len(node.args) > 2 or any(keyword.arg == "recipe" for keyword in node.keywords)):
                exceptions.add(path.relative_to(ROOT).as_posix())
    assert exceptions == {"synthpairs/generation/candidates.py"}
