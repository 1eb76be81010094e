"""The whole pipeline with a preset of the paper's scale, made small by presets/rehearsal.yaml, without a network."""

import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.chat import ChatServer
from tests.conftest import serving
from tests.flows.project import Project, copy_of_this_tree
from tests.hub import Hub
from tests.pipeline import ROOT
from tests.rehearsal.corpora import LOOKS, PLACES, write_corpora
from tests.rehearsal.models import write_hub, write_kenlm

UV = str(Path(sys.executable).with_name("uv"))


def pytest_addoption(parser):
    parser.addoption("--preset", default="paper", help="paper, or one that is written after it")
    parser.addoption("--lmms-eval", action="store_true", help="ask the trained models POPE through lmms-eval (6 GB)")


@dataclass(frozen=True)
class Rehearsal:
    """The project after `dvc repro`, what `doctor` said before, and what the hub sent."""

    preset: str
    project: Project
    doctor: str
    fetched: list[tuple[str, str, int]]  # model, file, bytes


@pytest.fixture(scope="session")
def rehearsal(request, tmp_path_factory):
    base, preset = tmp_path_factory.mktemp("rehearsal"), request.config.getoption("--preset")
    project = copy_of_this_tree(base / "project", base)
    captions = write_corpora(project.path / "corpora")
    write_kenlm(project.path / "models/kenlm", captions)
    install(base / "kenlm", "kenlm>=0.3")
    if request.config.getoption("--lmms-eval"):
        last = project.path / "presets/rehearsal.yaml"
        last.write_text(last.read_text().replace("pictures: []", "pictures: [pope]"))
        project.env["UV_CACHE_DIR"] = subprocess.check_output([UV, "cache", "dir"], text=True).strip()
    with serving(Hub()) as hub, serving(ChatServer()) as chat:
        hub.models = write_hub(base / "hub")
        chat.reply = _reply
        project = replace(project, env=project.env | {
            "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_HOME": str(base / "hf"),
            "SYNTHPAIRS_LLM_URL": chat.url, "SYNTHPAIRS_DATASETS": str(project.path / "corpora/benchmarks"),
            "PYTHONPATH": str(base / "kenlm"),
        })  # fmt: skip
        # Vicuna and CLIP are converted by the commands that the preset names.
        project.run(
            "\n".join(re.findall(r"# (python -m synthpairs safetensors .+)", (ROOT / "presets/paper.yaml").read_text()))
        )
        for name in dict.fromkeys(["paper", preset, "rehearsal"]):
            project.run(f"python -m synthpairs preset {name}")
        doctor = project.run(
            "python -m synthpairs doctor || true"
        )  # this machine has no GPU, nor the disk and memory for 7B
        project.run("dvc repro", seconds=2400)
        return Rehearsal(preset, project, doctor, hub.fetched)


def install(folder, *packages):
    """Install packages alone, without what they need, into a folder for PYTHONPATH."""
    subprocess.run([UV, "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *packages], check=True)


def _reply(name, body):
    """Answers of a captioner for class names, of a judge of captions, and of a judge of two images."""
    content = body["messages"][-1]["content"]
    if not isinstance(content, str):
        return "A"
    if thing := re.search(r"following object: (.+?)\. The caption", content):
        details = " and ".join(f"a {look} thing {place}" for look, place in zip(LOOKS[:5], PLACES, strict=False))
        return f"A {thing[1]} beside {details}"
    return "Yes"
