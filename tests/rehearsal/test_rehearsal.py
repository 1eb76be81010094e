"""`make rehearse`: a preset of the paper's scale from captions to report, from an empty clone, without a network."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from synthpairs.core.config import read_mapping
from tests.pipeline import ROOT
from tests.rehearsal.conftest import install
from tests.rehearsal.corpora import POPE
from tests.rehearsal.models import LICENCES


def test_everything_is_there_before_and_nothing_is_left_to_do_after(rehearsal):
    failed = re.findall(r"^FAIL (.*):", rehearsal.doctor, re.MULTILINE)
    assert set(failed) <= {"disk", "memory", "images.image_size"}, rehearsal.doctor
    assert "up to date" in rehearsal.project.run("dvc status dvc.yaml")


def test_the_hub_sends_what_is_loaded_alone(rehearsal):
    """Float16 weights for a pipeline in float16, no pickles, no copies for other programs, no part that another replaces."""
    fetched = {f"{model}/{file}" for model, file, _ in rehearsal.fetched}
    weights = {file for file in fetched if file.endswith((".safetensors", ".bin", ".h5", ".onnx", ".msgpack", ".pt"))}
    converted = ("lmsys/vicuna", "openai/clip")  # whose pickles a command reads, no stage
    assert all(file.endswith(".bin" if file.startswith(converted) else ".safetensors") for file in weights), weights
    generator = {file for file in weights if "stable-diffusion" in file}
    assert generator
    assert all(".fp16." in file for file in generator), generator
    if rehearsal.preset != "better-synth":
        assert not any("/vae/" in file for file in generator), "images.vae replaces it"
    assert not any(file.endswith(("sdxl_vae.safetensors", "4step.safetensors", "1.0.safetensors")) for file in weights)


def test_the_report_and_the_card_are_of_this_run(rehearsal):
    project = rehearsal.project.path
    params = read_mapping(project / "params.yaml")
    report, card = (project / "reports/README.md").read_text(), (project / "data/export/README.md").read_text()
    for arm in params["arms"] + params["token_arms"]:
        numbers = json.loads((project / f"reports/benchmarks/{arm}.json").read_text())
        assert ("flickr30k_caption" in numbers) == (arm in params["token_arms"])
        assert "sums" in numbers
    for part in ("generator", "refiner", "vae", "lora"):
        model = params["images"][part]
        model = model["model"] if isinstance(model, dict) else model
        assert model is None or (model in card and model in report)
    base = params["images"]["generator"]
    if licence := LICENCES.get(base.partition("@")[0]):
        assert f"| `{base}` | {licence} |" in card
        assert f"| `{base}` | {licence} |" in report
    assert re.search(r"\| `lmsys/vicuna-7b-v1.5@\w+` \| llama2 \|", report), "of a directory that was converted"
    if params["captions"]["blip"]:
        assert f"| `{params['captions']['blip']['model']}` | unknown |" in report
        assert params["captions"]["blip"]["model"] in card
        assert params["captions"]["judge"]["server"]["model"] in card
    assert params["vlm"]["llm"] in report
    assert "emoji" not in card.lower()
    assert "## The desk models" not in report
    assert ("## The Synth2 route" in report) == bool(params["token_arms"])


def test_learning_curves_are_of_the_preset_s_models_and_captioning_task(rehearsal):
    if rehearsal.preset != "synth2":
        pytest.skip("it has no arms of VQ tokens")
    project = replace(rehearsal.project, env=rehearsal.project.env | {"HF_HUB_OFFLINE": "1"})  # the hub is gone
    project.run("dvc repro experiments/dvc.yaml:learning_curves")
    curves = json.loads((project.path / "reports/experiments/learning_curves.json").read_text())
    assert (curves["task"], curves["n"], curves["steps"]) == ("flickr30k_caption", 8, [4, 8])
    assert curves["controls"] is None


@pytest.mark.skipif("not config.getoption('--lmms-eval')", reason="`make rehearse LONG=1` asks it")
def test_lmms_eval_asks_the_trained_models(rehearsal):
    project = rehearsal.project.path
    for arm in read_mapping(project / "params.yaml")["arms"]:
        pope = json.loads((project / f"reports/benchmarks/{arm}.json").read_text())["pope"]
        assert (pope["engine"].split()[0], pope["n"]) == ("lmms-eval", POPE)
        assert 0 <= pope["value"] <= 1
        assert f"| pope | pope_accuracy | {POPE} |" in (project / "reports/README.md").read_text()


@pytest.mark.parametrize("number", [0, -1])
def test_stock_transformers_of_two_versions_load_a_trained_model_alike(number, rehearsal, tmp_path_factory):
    """All weights, the same prompt, the same logits."""
    arms = read_mapping(rehearsal.project.path / "params.yaml")["arms"]
    if not arms:
        pytest.skip("models that see through a VQ tokenizer are of this project's own class")
    arm = arms[number]
    older = tmp_path_factory.getbasetemp() / "transformers-4.57"
    if not older.exists():
        install(older, "transformers==4.57.*", "huggingface_hub<1", "tokenizers>=0.22,<0.23.1")
    folder = str(rehearsal.project.path / f"models/vlm/{arm}/finetuned")
    current, old = (_loaded(folder, path) for path in (None, older))
    assert (current.pop("transformers")[0], old.pop("transformers")[:4]) == ("5", "4.57")
    assert (current["missing"], current["unexpected"]) == (old["missing"], old["unexpected"]) == ([], [])
    for name in ("logits", "pixels"):
        assert current.pop(name) == pytest.approx(old.pop(name), abs=1e-4)
    assert current == old


def _loaded(folder, path):
    """What load_vlm.py prints, by the packages in `path` before those of this environment."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(path or "")}
    program = [sys.executable, str(Path(__file__).with_name("load_vlm.py")), folder]
    return json.loads(
        subprocess.run(program, env=environment, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    )
