"""The source hash of a program changes with every file that it can import, and with no other."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.core.source import PACKAGES, RUNTIME, import_closure, source_hash

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def hash_in(tree, program):
    code = f"from synthpairs.core.source import source_hash; print(source_hash({program!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("program", "edited", "changes"),
    [
        ("stages.scores", "stages/scores.py", True),
        ("stages.scores", "synthpairs/scoring/ssim.py", True),
        ("stages.captions", "synthpairs/captions/flagged_words.txt", True),
        ("stages.finetune", "synthpairs/vlm/training.py", True),
        ("stages.scores", "synthpairs/report/page.py", False),
        ("stages.scores", "synthpairs/runtime/progress.py", False),
        ("stages.images", "synthpairs/runtime/engine/scheduler.py", False),
        ("", "synthpairs/report/page.py", True),
    ],
)
def test_an_edit_changes_the_hash_of_the_programs_that_run_it(tree, program, edited, changes):
    before, text = hash_in(tree, program), (tree / edited).read_text()
    (tree / edited).write_text(text + "\n# edited\n")
    after = hash_in(tree, program)
    (tree / edited).write_text(text)
    assert (after != before) == changes


def test_the_running_program_is_the_default(tree):
    (tree / "stages/probe.py").write_text("from synthpairs.core.source import source_hash\nprint(source_hash())\n")
    done = subprocess.run([sys.executable, "-m", "stages.probe"], cwd=tree, capture_output=True, text=True)
    assert done.stdout == hash_in(tree, "stages.probe") != hash_in(tree, "")
    assert source_hash() == source_hash(""), "pytest is not our program: all code counts"


def test_the_runtime_is_left_out():
    closure = import_closure(Path("stages/images.py"))
    assert Path("synthpairs/generation/diffusion/generator.py") in closure
    assert (ROOT / "synthpairs" / RUNTIME).is_dir()
    assert not [path for path in closure if path.parts[:2] == ("synthpairs", RUNTIME)]


def test_only_stores_of_candidates_use_a_recipe():
    """Other stores depend on the source hash. A further exception needs a test of its recipe's results."""
    users = set()
    for path in sorted((ROOT / "synthpairs").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_store = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "WorkStore"
            if is_store and (len(node.args) > 2 or any(keyword.arg == "recipe" for keyword in node.keywords)):
                users.add(path.relative_to(ROOT).as_posix())
    assert users == {"synthpairs/generation/candidates.py"}
