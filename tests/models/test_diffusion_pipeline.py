"""Pipelines that cannot be loaded: errors name the param, and custom code is not run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from diffusers.pipelines import pipeline_utils
from huggingface_hub import errors

from synthpairs.models.diffusion_pipeline import load_pipeline


@pytest.fixture
def copy(tiny_generator, tmp_path):
    """A copy of the tiny generator to damage."""
    return Path(shutil.copytree(tiny_generator, tmp_path / "generator"))


def load(name):
    load_pipeline(str(name), "images.generator", torch.float32)


def index(folder, **parts):
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


def test_pickles_and_variants_are_not_loaded(copy):
    plain = copy / "unet/diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_suffix(".fp16.safetensors"))
    torch.save({}, plain.with_suffix(".bin"))
    only = r"only diffusion_pytorch_model.bin, diffusion_pytorch_model.fp16.saf.*: pickles can run code"
    with pytest.raises(FileNotFoundError, match=rf"params.yaml: images.generator: .*unet holds no plain .*{only}"):
        load(copy)
    (copy / "model_index.json").write_text("{")
    with pytest.raises(OSError, match=r"model_index.json"):
        load(copy)


def test_custom_code_is_not_run(copy):
    trap = "raise SystemExit('custom code was run')\n"
    (copy / "unet/my_unet.py").write_text(trap)
    (copy / "pipeline.py").write_text(trap)
    index(copy, unet=["my_unet", "MyUNet"])
    with pytest.raises(ValueError, match=r"images.generator: unet of .* is a MyUNet of custom code \(my_unet.py\)"):
        load(copy)
    index(copy, _class_name=["pipeline", "MyPipeline"])
    with pytest.raises(ValueError, match=r"has no pipeline \['pipeline', 'MyPipeline'\], and custom code"):
        load(copy)


def test_given_parts_replace_missing_ones(copy):
    vae = AutoencoderKL.from_pretrained(copy / "vae")
    shutil.rmtree(copy / "vae")
    pipeline, identity = load_pipeline(str(copy), "images.generator", torch.float32, {"vae": vae})
    assert pipeline.vae is vae
    assert not [file for file in identity["files"] if file.startswith("vae/")]


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        (errors.RevisionNotFoundError, 404, "revision"),
        (errors.RepositoryNotFoundError, 404, "has no model|not found"),
        (errors.GatedRepoError, 403, "gated"),
    ],
)
def test_a_refusal_of_the_hub_is_reported_as_the_hub_words_it(monkeypatch, kind, status, message):
    """Diffusers itself reports each of them as a model that is not cached."""
    http = pipeline_utils.httpx  # the version that the hub's client uses

    def refuse(*arguments, **more):
        response = http.Response(status, request=http.Request("GET", "https://hub.invalid/api"))
        raise kind(f"{kind.__name__}: no such revision, repository not found, or gated", response=response)

    monkeypatch.setattr(pipeline_utils, "model_info", refuse)
    monkeypatch.setattr(pipeline_utils, "_resolve_revision", lambda name, revision, **more: revision)
    with pytest.raises(OSError, match=message) as caught:
        load("owner/never-cached@abc")
    assert "stacktrace" not in str(caught.value)
