import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl

from synthpairs.core import determinism
from synthpairs.generation.diffusion.generator import Generator
from tests.generation.conftest import KEYS, TEXTS
from tests.generation.diffusion import tiny


def test_plain_diffusers_loop_gives_the_same_pixels(settings, tiny_generator, monkeypatch):
    ours = Generator(settings(batch_size=1, negative_prompt="blurred")).generate_images(KEYS[:1], TEXTS[:1])[0]
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(tiny_generator, add_watermarker=False)
    assert np.array_equal(ours, tiny.plain_picture(pipeline, KEYS[0], TEXTS[0], negative_prompt="blurred"))
    monkeypatch.setattr(pipeline_stable_diffusion_xl, "is_invisible_watermark_available", lambda: True)
    again = Generator(settings(batch_size=1, negative_prompt="blurred"))
    assert again.pipeline.watermark is None
    assert np.array_equal(again.generate_images(KEYS[:1], TEXTS[:1])[0], ours), (
        "an installed watermark package changes nothing"
    )


@pytest.mark.parametrize(
    ("batch", "threads", "scheduler"),
    [(4, 1, None), (4, 2, None), (7, 2, None), (4, 1, "EulerAncestralDiscreteScheduler")],
)
def test_a_picture_does_not_depend_on_the_batch_or_its_row_in_it(settings, batch, threads, scheduler):
    generator = Generator(settings(batch_size=batch, scheduler=scheduler))
    keys, texts = KEYS[:batch], TEXTS[:batch]
    with determinism.torch_threads(threads):
        alone = [generator.generate_images([key], [text])[0] for key, text in zip(keys, texts, strict=True)]
        together = generator.generate_images(keys, texts)
        reverse = generator.generate_images(keys[::-1], texts[::-1])
    assert np.array_equal(together, np.stack(alone))
    assert np.array_equal(together, reverse[::-1])
    assert not np.array_equal(together[0], together[1])


def test_fingerprint_covers_what_changes_pictures(settings, tiny_generator, tmp_path):
    changes = [
        {},
        {"num_inference_steps": 3},
        {"guidance_scale": 2.0},
        {"negative_prompt": ""},
        {"image_size": 64},
        {"format": "webp"},
    ]
    changes += [{"dtype": "bfloat16"}, {"scheduler": "EulerDiscreteScheduler"}]
    made = [Generator(settings(**change)) for change in changes]
    assert len({one.fingerprint for one in made}) == len(changes)
    assert set(made[0].inputs) == {  # no key of an unused setting
        "model", "files", "pipeline", "diffusers", "torch", "scheduler", "steps", "guidance", "negative_prompt", "side",
        "dtype", "format",
    }  # fmt: skip
    copy = tmp_path / "generator"
    shutil.copytree(tiny_generator, copy)
    one = Generator(settings(generator=str(copy))).fingerprint
    (copy / "README.md").write_text("about")
    (copy / "unet/diffusion_pytorch_model.fp16.safetensors").write_bytes(b"never loaded")
    assert Generator(settings(generator=str(copy))).fingerprint == one
    weights = copy / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert Generator(settings(generator=str(copy))).fingerprint != one


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"generator": "models/none"}, "images.generator: 'models/none' is neither a directory nor OWNER/NAME@"),
        ({"generator": "."}, "model_index.json is missing"),
        ({"image_size": 36}, "images.image_size must be a multiple of 8, got 36"),
        ({"max_sequence_length": 8}, "images.max_sequence_length must be null, got 8: StableDiffusionXLPipeline has"),
        (
            {"generator": tiny.sd3, "long_prompts": "chunk"},
            "images.long_prompts must be cut for a StableDiffusion3Pipe",
        ),
        ({"generator": tiny.flux, "negative_prompt": "x"}, "images.negative_prompt must be null for a FluxPipeline"),
    ],
)
def test_what_cannot_be_loaded_is_an_error(settings, tmp_path, changed, message):
    if callable(kind := changed.get("generator")):
        changed = changed | {"generator": str(kind(tmp_path))}
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        Generator(settings(**changed))


def test_weights_that_could_run_code_and_unknown_pipelines_are_refused(settings, tiny_generator, tmp_path):
    copy = tmp_path / "generator"
    shutil.copytree(tiny_generator, copy)
    weights = copy / "unet/diffusion_pytorch_model.safetensors"
    torch.save({}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(OSError, match="safetensors"):
        Generator(settings(generator=str(copy)))
    (copy / "model_index.json").write_text(json.dumps({"_class_name": "NoSuchPipeline"}))
    with pytest.raises(ValueError, match="has no pipeline 'NoSuchPipeline'"):
        Generator(settings(generator=str(copy)))


@pytest.mark.parametrize("kind", [tiny.sd3, tiny.pixart, tiny.flux], ids=["sd3", "pixart", "flux"])
def test_other_pipelines_give_what_plain_diffusers_gives(settings, tmp_path, kind):
    generator = Generator(settings(generator=str(kind(tmp_path)), batch_size=2, max_sequence_length=24))
    pictures = generator.generate_images(KEYS[:2], TEXTS[:2])
    assert pictures.shape == (2, 32, 32, 3)
    assert not np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(generator.generate_images(KEYS[:1], TEXTS[:1])[0], pictures[0])
    alone = Generator(settings(generator=str(tmp_path), batch_size=1, max_sequence_length=24)).generate_images(
        KEYS[:1], TEXTS[:1]
    )[0]
    theirs = diffusers.DiffusionPipeline.from_pretrained(tmp_path)
    own = {"clean_caption": False, "use_resolution_binning": False} if kind is tiny.pixart else {}
    assert np.array_equal(alone, tiny.plain_picture(theirs, KEYS[0], TEXTS[0], max_sequence_length=24, **own))


@pytest.mark.parametrize("name", ["channels_last", "compile"])
def test_tuned_kernels_give_nearly_the_same_pictures(settings, monkeypatch, name):
    plain = Generator(settings())
    monkeypatch.setenv(f"SYNTHPAIRS_{name.upper()}", "true")
    compile_ = torch.nn.Module.compile  # with the eager backend, because kernels take minutes to build on a CPU
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compile_(module, backend="eager"))
    tuned = Generator(settings())
    assert tuned.fingerprint == plain.fingerprint
    unet = tuned.pipeline.unet
    assert unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last) == (name == "channels_last")
    assert (unet._compiled_call_impl is not None) == (name == "compile")
    assert np.abs(tuned.generate_images(KEYS[:4], TEXTS[:4]) - plain.generate_images(KEYS[:4], TEXTS[:4])).max() < 1e-3
