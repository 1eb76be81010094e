"""Pipelines that cannot be had: one clear error each, and nothing of theirs is run."""

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
    """The tiny generator, to be spoilt."""
    return Path(shutil.copytree(tiny_generator, tmp_path / "generator"))


def load(name):
    load_pipeline(str(name), "images.generator", torch.float32)


def index(folder, **parts):
    path = folder / "model_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))


def test_pickled_weights_and_variants_alone_are_named(copy):
    plain = copy / "unet/diffusion_pytorch_model.safetensors"
    plain.rename(plain.with_suffix(".fp16.safetensors"))
    torch.save({}, plain.with_suffix(".bin"))
    only = r"only diffusion_pytorch_model.bin, diffusion_pytorch_model.fp16.saf.*: pickles can run code"
    with pytest.raises(FileNotFoundError, match=rf"params.yaml: images.generator: .*unet holds no plain .*{only}"):
        load(copy)
    (copy / "model_index.json").write_text("{")
    with pytest.raises(OSError, match=r"model_index.json"):
        load(copy)


def test_code_of_a_models_own_is_not_run(copy):
    trap = "raise SystemExit('its code was run')\n"
    (copy / "unet/my_unet.py").write_text(trap)
    (copy / "pipeline.py").write_text(trap)
    index(copy, unet=["my_unet", "MyUNet"])
    with pytest.raises(ValueError, match=r"images.generator: unet of .* is a MyUNet of its own code \(my_unet.py\)"):
        load(copy)
    index(copy, _class_name=["pipeline", "MyPipeline"])
    with pytest.raises(ValueError, match=r"has no pipeline \['pipeline', 'MyPipeline'\], and code of a model's own"):
        load(copy)


def test_parts_that_are_given_need_not_be_there(copy):
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
def test_what_the_hub_refuses_is_named_as_the_hub_names_it(monkeypatch, kind, status, message):
    """Of each of them diffusers itself says that the model is not cached."""
    http = pipeline_utils.httpx  # whichever version the hub's client speaks through

    def refuse(*arguments, **more):
        response = http.Response(status, request=http.Request("GET", "https://hub.invalid/api"))
        raise kind(f"{kind.__name__}: no such revision, repository not found, or gated", response=response)

    monkeypatch.setattr(pipeline_utils, "model_info", refuse)
    monkeypatch.setattr(pipeline_utils, "_resolve_revision", lambda name, revision, **more: revision)
    with pytest.raises(OSError, match=message) as caught:
        load("owner/never-cached@abc")
    assert "stacktrace" not in str(caught.value)
