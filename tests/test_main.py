"""The command line: help, errors in one line, and light imports."""

import subprocess
import sys
from pathlib import Path

import pytest

from synthpairs.__main__ import main

ROOT = Path(__file__).parents[1]


def test_help_lists_the_commands_with_examples_and_so_does_a_wrong_one(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    for text in (
        "usage: python -m synthpairs",
        "preset",
        "mlflow-sync",
        "examples:",
        "python -m synthpairs preset smoke",
    ):
        assert text in shown
    with pytest.raises(SystemExit, match="2"):
        main(["mlflow-snyc"])
    wrong, _, choices = capsys.readouterr().err.partition("(choose from ")
    assert "invalid choice: 'mlflow-snyc'" in wrong
    assert "mlflow-sync" in choices


def test_errors_of_users_are_one_line_and_exit_code_1(tmp_path):
    command = [sys.executable, "-m", "synthpairs", "mlflow-sync"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    line = "error: params.yaml is not here, nor in a folder above: this is no project\n"
    assert (done.returncode, done.stderr) == (1, line)
    (tmp_path / "params.yaml").touch()
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: dvc.lock is missing: run `dvc repro` first\n")


@pytest.mark.parametrize(
    "command", ["doctor", "estimate", "preset x", "preview 1", "replay 0a", "compare a b", "vote", "mlflow-sync"]
)
def test_a_command_outside_the_root_names_the_root(tmp_path, monkeypatch, caplog, command):
    def error():
        caplog.clear()
        assert main(command.split()) == 1
        (record,) = caplog.records
        return record.message

    (tmp_path / "docs/more").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "docs/more")
    assert error() == "error: params.yaml is not here, nor in a folder above: this is no project"
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    assert error() == f"error: params.yaml is not here: run it in {tmp_path}"
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").unlink()
    assert error() == "error: params.yaml is missing: run `git checkout params.yaml` first"


def test_a_stage_outside_the_root_names_the_root(tmp_path):
    (tmp_path / "docs").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (tmp_path / name).touch()
    environment = {"PYTHONPATH": str(ROOT), "SYNTHPAIRS_TRACKING": "off"}
    command = [sys.executable, "-m", "stages.language_model"]
    done = subprocess.run(command, cwd=tmp_path / "docs", env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"error: params.yaml is not here: run it in {tmp_path}")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("compare HEAD HEAD~1 --out docs", "docs is a folder: name a file"),
        ("replay 0a1b2c --out docs", "docs is a folder: name a file"),
        ("preview 1 --out params.yaml", "params.yaml is a file: name a folder"),
        ("vote --out params.yaml", "params.yaml is a file: name a folder"),
    ],
)
def test_out_of_the_wrong_kind_is_an_error_before_any_work(monkeypatch, capsys, command, reason):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit, match="2"):
        main(command.split())
    assert f"argument --out: {reason}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["doctor", "preset smoke", "clean"])
def test_without_the_environment_a_command_says_how_to_make_it(command):
    """`-S` leaves out the installed packages."""
    done = subprocess.run(
        [sys.executable, "-S", "-m", "synthpairs", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    line = "error: no module named ruamel: run `make env`, then `. .venv/bin/activate`\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", line)


def test_heavy_libraries_are_imported_on_demand():
    code = "import sys, synthpairs.__main__; print({'torch', 'mlflow', 'pandas', 'dvc'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
