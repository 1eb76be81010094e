"""The commands for people: helpful when asked, clear when wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.__main__ import main

ROOT = Path(__file__).parents[1]


def test_help_lists_the_commands_with_examples(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    shown = capsys.readouterr().out
    assert end.value.code == 0
    for part in ("usage: python -m synthpairs", "preset", "track", "examples:", "python -m synthpairs preset smoke"):
        assert part in shown


@pytest.mark.parametrize(("arguments", "known"), [(["sync"], ["preset", "track"]), (["track", "snyc"], ["sync"])])
def test_an_unknown_command_lists_what_there_is(capsys, arguments, known):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    wrong, _, choices = capsys.readouterr().err.partition("(choose from ")
    assert f"invalid choice: '{arguments[-1]}'" in wrong
    assert all(name in choices for name in known)


def test_no_command_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "required: COMMAND" in capsys.readouterr().err


def test_users_errors_are_one_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "synthpairs", "track", "sync"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: dvc.lock is missing: run `dvc repro` first\n")


def test_starting_it_needs_nothing_heavy():
    code = "import sys, synthpairs.__main__; print({'torch', 'mlflow', 'pandas', 'dvc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
