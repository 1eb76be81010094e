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
    line = "error: params.yaml is not here, nor in a folder above: this is no project\n"
    assert (done.returncode, done.stderr) == (1, line)
    (tmp_path / "params.yaml").touch()
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: dvc.lock is missing: run `dvc repro` first\n")


@pytest.mark.parametrize(
    "command",
    [
        "doctor",
        "plan",
        "preset x",
        "preset x --as-flags",
        "preview 1",
        "replay 0a",
        "compare a b",
        "vote",
        "track sync",
    ],
)
def test_a_command_outside_the_root_says_where_to_go(tmp_path, monkeypatch, caplog, command):
    (tmp_path / "docs/more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "docs/more")
    assert main(command.split()) == 1
    assert [record.message for record in caplog.records] == [
        "error: params.yaml is not here, nor in a folder above: this is no project"
    ]
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    caplog.clear()
    assert main(command.split()) == 1
    assert [record.message for record in caplog.records] == [f"error: params.yaml is not here: run it in {tmp_path}"]
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").unlink()
    caplog.clear()
    assert main(command.split()) == 1
    assert caplog.records[0].message == "error: params.yaml is missing: run `git checkout params.yaml` first"


def test_a_stage_outside_the_root_says_where_to_go(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    environment = {"PYTHONPATH": str(ROOT), "SYNTHPAIRS_TRACKING": "off"}
    command = [sys.executable, "-m", "stages.language_model"]
    done = subprocess.run(command, cwd=tmp_path / "docs", env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"error: params.yaml is not here: run it in {tmp_path}")
    assert "Traceback" not in done.stderr


def test_starting_it_needs_nothing_heavy():
    code = "import sys, synthpairs.__main__; print({'torch', 'mlflow', 'pandas', 'dvc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
