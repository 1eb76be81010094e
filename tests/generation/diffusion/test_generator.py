"""The generator: its pictures are functions of their keys, and its fingerprint of everything that shapes them."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion_xl import pipeline_stable_diffusion_xl

from synthpairs.core.schema import digest, noise_seed
from synthpairs.generation.diffusion.generator import Generator
from tests.generation.diffusion import tiny

KEYS = [digest("test", number) for number in range(9)]
TEXTS = ["a red dog", "two cats", "a bus", "a bell", "three snails", "a rose", "a guitar", "fire", "a drum"]


def test_plain_diffusers_loop_gives_the_same_pixels(settings, tiny_generator):
    ours = Generator(settings(batch=1, negative_prompt="blurred")).paint(KEYS[:1], TEXTS[:1])[0]
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(tiny_generator, add_watermarker=False)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(noise_seed(KEYS[0])))
    theirs = pipeline(
        TEXTS[0], negative_prompt="blurred", latents=noise, num_inference_steps=2, guidance_scale=3.0, height=32,
        width=32,
    ).images[0]  # fmt: skip
    assert np.array_equal((ours * 255).round().astype(np.uint8), np.asarray(theirs))


@pytest.mark.parametrize(
    ("batch", "threads", "scheduler"),
    [(4, 1, None), (4, 2, None), (7, 2, None), (4, 1, "EulerAncestralDiscreteScheduler")],
    ids=["one thread", "two threads", "odd batch", "scheduler that draws noise"],
)
def test_company_and_place_in_the_batch_change_no_bit(settings, batch, threads, scheduler):
    generator = Generator(settings(batch=batch, scheduler=scheduler))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        alone = [generator.paint([key], [text])[0] for key, text in zip(KEYS[:batch], TEXTS, strict=False)]
        together = generator.paint(KEYS[:batch], TEXTS[:batch])
        reversed_ = generator.paint(KEYS[:batch][::-1], TEXTS[:batch][::-1])[::-1]
        strangers = generator.paint([KEYS[0], *KEYS[batch:]][:batch], [TEXTS[0], *TEXTS[batch:]][:batch])
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(together, np.stack(alone))
    assert np.array_equal(together, reversed_)
    assert np.array_equal(together[0], strangers[0])
    assert not np.array_equal(together[0], together[1])


def test_an_installed_watermark_package_changes_nothing(settings, monkeypatch):
    without = Generator(settings()).paint(KEYS[:1], TEXTS[:1])
    monkeypatch.setattr(pipeline_stable_diffusion_xl, "is_invisible_watermark_available", lambda: True)
    generator = Generator(settings())
    assert generator.pipeline.watermark is None
    assert np.array_equal(generator.paint(KEYS[:1], TEXTS[:1]), without)


def test_fingerprint_covers_what_shapes_pictures(settings, tiny_generator, tmp_path):
    changes = [{}, {"steps": 3}, {"guidance": 2.0}, {"negative_prompt": ""}, {"side": 64}, {"format": "webp"}]
    changes += [{"dtype": "bfloat16"}, {"scheduler": "EulerDiscreteScheduler"}]
    prints = [Generator(settings(**change)).fingerprint for change in changes]
    assert len(set(prints)) == len(prints)
    copy = tmp_path / "generator"
    shutil.copytree(tiny_generator, copy)
    one = Generator(settings(generator=str(copy))).fingerprint
    (copy / "README.md").write_text("about")
    (copy / "unet/diffusion_pytorch_model.fp16.safetensors").write_bytes(b"never loaded")
    assert Generator(settings(generator=str(copy))).fingerprint == one
    weights = copy / "vae/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert Generator(settings(generator=str(copy))).fingerprint != one


def test_what_cannot_be_loaded_says_why(settings, tiny_generator, tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"images.generator: 'models/none' is neither a directory nor OWNER/NAME@"
    ):
        Generator(settings(generator="models/none"))
    with pytest.raises(FileNotFoundError, match=r"model_index.json is missing"):
        Generator(settings(generator=str(tmp_path)))
    with pytest.raises(ValueError, match=r"images.side must be a multiple of 8, got 36"):
        Generator(settings(side=36))
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
def test_other_kinds_of_pipeline_paint_what_they_paint_by_themselves(settings, tmp_path, kind):
    generator = Generator(settings(generator=str(kind(tmp_path)), batch=2, max_sequence_length=24))
    pictures = generator.paint(KEYS[:2], TEXTS[:2])
    assert pictures.shape == (2, 32, 32, 3)
    assert not np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(generator.paint(KEYS[:1], TEXTS[:1])[0], pictures[0])
    alone = Generator(settings(generator=str(tmp_path), batch=1, max_sequence_length=24)).paint(KEYS[:1], TEXTS[:1])[0]
    theirs = diffusers.DiffusionPipeline.from_pretrained(tmp_path)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(noise_seed(KEYS[0])))
    if kind is tiny.flux:
        noise = theirs._pack_latents(noise, 1, 4, 8, 8)
    plain = {"clean_caption": False, "use_resolution_binning": False} if kind is tiny.pixart else {}
    reference = theirs(
        TEXTS[0], latents=noise, num_inference_steps=2, guidance_scale=3.0, height=32, width=32,
        max_sequence_length=24, output_type="np", **plain,
    ).images[0]  # fmt: skip
    assert np.array_equal(alone, reference)


def test_a_setting_that_a_pipeline_does_not_have_is_an_error(settings, tmp_path):
    with pytest.raises(
        ValueError, match=r"images.max_sequence_length must be null, got 8: StableDiffusionXLPipeline has"
    ):
        Generator(settings(max_sequence_length=8))
    with pytest.raises(ValueError, match=r"images.long_prompts must be cut for a StableDiffusion3Pipeline"):
        Generator(settings(generator=str(tiny.sd3(tmp_path / "sd3")), long_prompts="chunk"))
    with pytest.raises(ValueError, match=r"images.negative_prompt must be null for a FluxPipeline"):
        Generator(settings(generator=str(tiny.flux(tmp_path / "flux")), negative_prompt="blurred"))


def test_settings_that_are_off_are_not_in_the_fingerprint(settings):
    inputs = Generator(settings()).inputs
    assert set(inputs) == {
        "model", "files", "pipeline", "diffusers", "torch", "scheduler", "steps", "guidance", "negative_prompt", "side",
        "dtype", "format",
    }  # fmt: skip
