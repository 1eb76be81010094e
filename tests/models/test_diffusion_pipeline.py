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
    found = (
        r"unet holds no plain safetensors weights, only diffusion_pytorch_model.bin, diffusion_pytorch_model.fp16.saf"
    )
    with pytest.raises(FileNotFoundError, match=rf"params.yaml: images.generator: .*{found}.*: pickles can run code"):
        load(copy)


def test_code_of_a_models_own_is_not_run(copy):
    trap = "raise SystemExit('its code was run')\n"
    (copy / "unet/my_unet.py").write_text(trap)
    (copy / "pipeline.py").write_text(trap)
    index(copy, unet=["my_unet", "MyUNet"])
    with pytest.raises(
        ValueError, match=r"images.generator: unet of .* is a MyUNet of its own code \(my_unet.py\), which is n"
    ):
        load(copy)
    index(copy, _class_name=["pipeline", "MyPipeline"])
    with pytest.raises(
        ValueError, match=r"has no pipeline \['pipeline', 'MyPipeline'\], and code of a model's own is never"
    ):
        load(copy)


def test_parts_that_are_given_need_not_be_there(copy):
    vae = AutoencoderKL.from_pretrained(copy / "vae")
    shutil.rmtree(copy / "vae")
    pipeline, identity = load_pipeline(str(copy), "images.generator", torch.float32, {"vae": vae})
    assert pipeline.vae is vae
    assert not [file for file in identity["files"] if file.startswith("vae/")]


def refusal(kind, status, message):
    http = pipeline_utils.httpx  # whichever version the hub's client speaks through
    return kind(message, response=http.Response(status, request=http.Request("GET", "https://hub.invalid/api")))


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        (errors.RevisionNotFoundError, 404, "revision"),
        (errors.RepositoryNotFoundError, 404, "has no model|not found"),
        (errors.GatedRepoError, 403, "gated"),
    ],
)
def test_what_the_hub_refuses_is_told_as_the_hub_told_it(monkeypatch, tmp_path, kind, status, told):
    """Of each of them diffusers itself says that the model is not cached."""

    def refuse(*arguments, **more):
        raise refusal(kind, status, f"{kind.__name__}: no such revision, repository not found, or gated")

    monkeypatch.setattr(pipeline_utils, "model_info", refuse)
    monkeypatch.setattr(pipeline_utils, "_resolve_revision", lambda name, revision, **more: revision)
    with pytest.raises(OSError, match=told) as caught:
        load("owner/never-cached@abc")
    assert "stacktrace" not in str(caught.value)


def test_a_broken_index_is_named(copy):
    (copy / "model_index.json").write_text("{")
    with pytest.raises(OSError, match=r"model_index.json"):
        load(copy)
