"""Every command in README.md and docs/ is run by a flow of this session, or listed here with a reason."""

import re
import shlex
from fnmatch import fnmatchcase

import pytest

from tests.flows.project import executed
from tests.pipeline import ROOT

PROGRAMS = ("dvc", "make", "mlflow", "python", "torchrun", "ray", "uv")
PLACEHOLDER = re.compile(r"(?!HEAD$)[A-Z][A-Z0-9]+")
NOT_RUN = {
    "make test": "runs everything else",
    "make flows": "runs these tests",
    "make rehearse*": "takes minutes; .ci/run does it after the flows",
    "make hostile": "takes minutes; .ci/run does it after the flows",
    "make env": "installs for minutes; .ci/run does it before the flows",
    "make experiments": "takes over an hour; see tests/experiments",
    "dvc repro experiments/dvc.yaml*": "one stage of make experiments",
    "make speed": "measures speed; see tests/perf",
    "python -m perf.*": "measures speed; see tests/perf",
    "dvc --cd desk_models repro": "trains for hours",
    "python -m desk_models.publish": "copies models that take hours to train; see tests/desk_models",
    "python -m synthpairs vote --voter NAME": "needs a browser; see tests/evaluation/preference",
    "python -m synthpairs vote --add FILE": "needs a file saved by a browser; see tests/evaluation/preference",
    "python -m synthpairs preset paper": "needs a GPU; `make rehearse` runs it in small",
    "python -m synthpairs preset sdxl-lightning": "needs a GPU; `make rehearse` runs it in small",
    "python -m synthpairs preset synth2": "needs a GPU; `make rehearse` runs it in small",
    "dvc repro benchmark_tokens": "part of `dvc repro`; at the paper's scale for days",
    "dvc exp run -n bestof4 *": "generates four times as many images; as `ssim`",
    "python -m synthpairs compare HEAD HEAD:random": "the smoke preset has no arm `random`; as `compare HEAD HEAD:real`",
    "python -m synthpairs compare HEAD ssim bestof4": "as `compare HEAD ssim`",
    "dvc config cache.type hardlink": "of terabytes; what it does was seen in a small repository",
    "dvc repro --single-item": "used for timings",
    "ray start *": "needs a cluster; see tests/runtime/engine",
    "torchrun *": "needs several machines; see tests/runtime/test_launch.py",
    "uv pip install *": "installs libraries that are not pinned",
    "uv venv *": "is for them",
    "python -m synthpairs safetensors *": "downloads from a hub; `make rehearse` runs it",
}


def documented():
    """(page, command) of code blocks and inline code, without environment variables and comments."""
    commands = []
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text()
        blocks = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        lines = [line for language, code in blocks if language in ("", "sh") for line in code.splitlines()]
        for line in lines + re.findall(r"`([^`]+)`", prose):
            for part in re.split(r"&&|;", re.sub(r"\s#.*", "", " ".join(line.split()))):
                command = re.sub(r"^\s*(\w+=(\"[^\"]*\"|\S+)\s+)*(\.venv/bin/)?", "", part).strip()
                if command.split(" ")[0] in PROGRAMS and " " in command:
                    commands.append((page.name, command))
    return commands


def covers(line, command):
    """Whether an executed line has the words of a documented command in their order; capitals match any word."""
    rest = iter(shlex.split(line))
    return all(any(word == other or PLACEHOLDER.fullmatch(word) for other in rest) for word in shlex.split(command))


def test_an_executed_line_covers_a_command_with_fewer_options():
    assert covers("dvc exp run -n ssim -S a=1", "dvc exp run -S a=1")
    assert covers("dvc diff v1 v2", "dvc diff TAG1 TAG2")
    assert not covers("dvc exp run -S a=1", "dvc exp run -S a=2")
    assert not covers("dvc diff v1", "dvc diff TAG1 TAG2")


def test_every_documented_command_is_run_by_a_flow_or_has_a_reason():
    if not executed:
        pytest.skip("comes after the other flows")
    commands = documented()
    assert ("README.md", "make repro") in commands
    missing = [
        f"{page}: {command}"
        for page, command in commands
        if not any(fnmatchcase(command, pattern) for pattern in NOT_RUN)
        and not any(covers(line, command) for line in executed)
    ]
    assert not missing, "\n".join(missing)
    unused = [pattern for pattern in NOT_RUN if not any(fnmatchcase(command, pattern) for _, command in commands)]
    assert unused == [], "no page names these"
