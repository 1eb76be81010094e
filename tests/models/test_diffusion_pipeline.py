"""Pipelines of a directory and of a hub: which files are taken; errors name the param, and custom code is not run."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline

from synthpairs.models.diffusion_pipeline import load_pipeline
from tests.generation.diffusion import tiny


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Folder of a pipeline like SDXL's base."""
    return tiny.sdxl(tmp_path_factory.mktemp("base"))


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


def fetched_weights(hub):
    """Names and bytes of the weights that the hub has sent."""
    return {file: size for _, file, size in hub.fetched if file.endswith(".safetensors")}


def test_for_float16_half_the_bytes_are_fetched_where_a_hub_has_them(base, tmp_path, loopback_hub):
    both = Path(shutil.copytree(base, tmp_path / "both"))
    plain_files = {path.relative_to(base).as_posix(): path.stat().st_size for path in base.rglob("*.safetensors")}
    StableDiffusionXLPipeline.from_pretrained(base).to(torch.float16).save_pretrained(both, variant="fp16")
    (both / "vae/diffusion_pytorch_model.fp16.safetensors").unlink()  # a part without: the plain file is taken
    loopback_hub.models = {"owner/both": both, "owner/plain": base}

    half, identity = load_pipeline("owner/both@main", "images.generator", torch.float16)
    fetched = fetched_weights(loopback_hub)
    assert {name.split(".")[1] for name in fetched if not name.startswith("vae/")} == {"fp16"}
    assert {name for name in identity["files"] if name.endswith(".safetensors")} == set(fetched)
    assert sum(fetched.values()) < 0.65 * sum(plain_files.values())
    weights = StableDiffusionXLPipeline.from_pretrained(base).unet.half().state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in half.unet.state_dict().items())

    # By now the cache has the fp16 files of the second.
    for name, dtype in (("owner/plain", torch.float16), ("owner/both", torch.float32)):
        _, other = load_pipeline(f"{name}@main", "images.generator", dtype)
        assert {name for name in other["files"] if name.endswith(".safetensors")} == set(plain_files)
    loopback_hub.fetched.clear()
    assert load_pipeline("owner/both@main", "images.generator", torch.float16)[1] == identity
    assert not fetched_weights(loopback_hub)
    of_directory = load_pipeline(str(both), "images.generator", torch.float16)[1]["files"]
    assert set(of_directory) == set(other["files"])  # a directory's stay the plain ones


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("owner/here@none", "owner/here has no revision 'none': name a commit"),
        ("owner/nowhere@main", "the hub has no model owner/nowhere, or it is private"),
        ("owner/gated@main", "owner/gated is gated: ask for access"),
        (
            "owner/cut@main",
            r"owner/cut@main cannot be fetched: the connection breaks off \(RemoteProtocolError\): run it again",
        ),
    ],
)
def test_a_refusal_of_the_hub_is_one_line_as_the_hub_words_it(tiny_generator, loopback_hub, name, message):
    """Diffusers itself reports each of them as a model that is not cached."""
    loopback_hub.models = {f"owner/{one}": tiny_generator for one in ("here", "gated", "cut")}
    loopback_hub.gated, loopback_hub.cut = {"owner/gated"}, {"owner/cut"}
    with pytest.raises(OSError, match=f"^params.yaml: images.generator: {message}") as caught:
        load(name)
    assert "\n" not in str(caught.value)
