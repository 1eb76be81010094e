import shutil
from dataclasses import replace

import diffusers
import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import encoded
from synthpairs.generation.diffusion.params import LoraWeights, Refiner
from tests.generation.conftest import KEYS, TEXTS
from tests.generation.diffusion import tiny


@pytest.mark.parametrize(
    ("scheduler", "negative"),
    [(None, None), ("EulerAncestralDiscreteScheduler", None), ("DPMSolverMultistepScheduler", "blurred")],
)
def test_base_and_refiner_equal_the_documented_calls_of_two_pipelines(settings, base, refiner, scheduler, negative):
    params = settings(
        generator=str(base),
        refiner=Refiner(model=str(refiner), base_share=0.8),
        num_inference_steps=10,
        batch_size=1,
        scheduler=scheduler,
        negative_prompt=negative,
    )
    ours = Generator(params).generate_images(KEYS[:1], TEXTS[:1])[0]

    first = StableDiffusionXLPipeline.from_pretrained(base, add_watermarker=False)
    second = StableDiffusionXLImg2ImgPipeline.from_pretrained(
        refiner, vae=first.vae, text_encoder_2=first.text_encoder_2, add_watermarker=False
    )
    if scheduler:
        for pipeline in (first, second):
            pipeline.scheduler = getattr(diffusers, scheduler).from_config(pipeline.scheduler.config)
    source = torch.Generator()
    same = {"num_inference_steps": 10, "negative_prompt": negative}
    latents = tiny.plain_picture(
        first, KEYS[0], TEXTS[0], denoising_end=0.8, output_type="latent", generator=source, **same
    )
    theirs = second(
        TEXTS[0],
        image=latents[None],
        denoising_start=0.8,
        output_type="np",
        guidance_scale=3.0,
        generator=source,
        **same,
    ).images[0]
    assert np.array_equal(ours, theirs)
    unrefined = tiny.plain_picture(first, KEYS[0], TEXTS[0], **same)
    assert not np.allclose(ours, unrefined, atol=1e-5), "the refiner has no effect"


def test_what_cannot_be_refined_says_why(settings, base, refiner, tmp_path):
    leading = {"num_inference_steps": 4, "scheduler_options": {"timestep_spacing": "leading"}}
    for generator, model, share, more, message in (
        (base, base, 0.8, {}, "images.refiner.model: StableDiffusionXLPipeline is no StableDiffusionXLImg"),
        (tiny.sd3(tmp_path / "sd3"), refiner, 0.8, {}, "only a StableDiffusionXLPipeline .* is a StableDiffusion3"),
        (base, "models/none", 0.8, {}, "images.refiner.model: 'models/none' is neither"),
        (base, refiner, 0.8, {"num_inference_steps": 1}, "base_share must leave both base and refiner some of 1 steps"),
        (base, refiner, 0.01, leading, "base_share must leave both base and refiner some of 4 steps"),
    ):
        spec = Refiner(model=str(model), base_share=share)
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            Generator(settings(generator=str(generator), refiner=spec, **{"num_inference_steps": 10} | more))


def test_low_rank_weights_change_pictures_by_their_scale(settings, base, tmp_path):
    tiny.lora(tmp_path / "lora", base)
    spec = LoraWeights(model=str(tmp_path / "lora"), file="tiny_lora.safetensors", scale=1.0)
    plain = Generator(settings(generator=str(base), batch_size=2))
    full, zero = (
        Generator(settings(generator=str(base), batch_size=2, lora=replace(spec, scale=scale))) for scale in (1, 0)
    )
    assert len({one.fingerprint for one in (plain, full, zero)}) == 3
    assert "lora" not in plain.inputs
    without, by_one, by_zero = (one.generate_images(KEYS[:2], TEXTS[:2]) for one in (plain, full, zero))
    assert np.array_equal(without, by_zero)
    assert np.abs(without - by_one).mean() > 1e-3
    theirs = StableDiffusionXLPipeline.from_pretrained(base, add_watermarker=False)
    theirs.load_lora_weights(tmp_path / "lora", weight_name="tiny_lora.safetensors")
    assert np.allclose(by_one[0], tiny.plain_picture(theirs, KEYS[0], TEXTS[0]), atol=1e-4)


def test_low_rank_weights_that_do_not_fit_say_why(settings, base, tiny_generator, tmp_path):
    torch.save({}, tmp_path / "pickled.bin")
    save_file({"unet.nowhere.to_q.lora_A.weight": torch.ones(2, 4)}, tmp_path / "other.safetensors")
    tiny.lora(tmp_path, base)
    for file, generator, message in (
        ("none.safetensors", base, "images.lora.file: .*none.safetensors must be a .safetensors file"),
        ("pickled.bin", base, "images.lora.file: .*pickled.bin must be a .safetensors file"),
        ("other.safetensors", base, "images.lora: .*other.safetensors"),
        (
            "tiny_lora.safetensors",
            tiny_generator,
            "images.lora: .*tiny_lora.safetensors does not fit StableDiffusionXL",
        ),
    ):
        lora = LoraWeights(model=str(tmp_path), file=file, scale=1.0)
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            Generator(settings(generator=str(generator), lora=lora))


def test_scheduler_options_are_checked_and_fingerprinted(settings, base):
    def made(**options):
        return Generator(settings(generator=str(base), scheduler_options=options or None))

    plain, trailing = made(), made(timestep_spacing="trailing")
    assert plain.inputs["scheduler"]["timestep_spacing"] == "linspace"
    assert trailing.inputs["scheduler"]["timestep_spacing"] == "trailing"
    assert {name for name in plain.inputs if plain.inputs[name] != trailing.inputs[name]} == {"scheduler"}
    assert not np.array_equal(plain.generate_images(KEYS[:1], TEXTS[:1]), trailing.generate_images(KEYS[:1], TEXTS[:1]))
    with pytest.raises(ValueError, match=r"scheduler_options.spacing is no option of Euler.*; it has .*steps_offset"):
        made(spacing="trailing")


def overflowing(folder, force_upcast):
    """A base whose autoencoder overflows in float16, like SDXL's."""
    tiny.sdxl(folder, force_upcast)
    path = folder / "vae/diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    for end in ("weight", "bias"):
        weights[f"decoder.conv_in.{end}"] *= 1e4
    save_file(weights, path, {"format": "pt"})
    return folder


def test_in_half_precision_force_upcast_is_obeyed(settings, base, tmp_path):
    def generated(generator, **changes):
        return Generator(settings(generator=str(generator), batch_size=1, **changes)).generate_images(
            KEYS[:1], TEXTS[:1]
        )[0]

    careful, careless = (overflowing(tmp_path / str(upcast), upcast) for upcast in (True, False))
    exact = generated(careful)
    assert np.abs(generated(careful, dtype="float16") - exact).max() < 0.05
    black = generated(careless, dtype="float16")
    with pytest.raises(ValueError, match=r"not finite|one flat colour"):
        encoded(black, settings())
    assert np.isfinite(generated(careless, dtype="bfloat16")).all()
    replaced = generated(careless, dtype="float16", vae=str(base / "vae"))
    assert np.abs(replaced - generated(base)).max() < 0.05


def test_optional_parts_are_in_the_fingerprint_and_replaced_or_shared_ones_need_no_files(
    settings, base, refiner, tmp_path
):
    shutil.copytree(base, tmp_path / "base")
    shutil.copytree(refiner, tmp_path / "refiner")
    shutil.move(tmp_path / "base/vae", tmp_path / "vae")
    for part in ("vae", "text_encoder_2"):
        shutil.rmtree(tmp_path / "refiner" / part)
    spec = Refiner(model=str(tmp_path / "refiner"), base_share=0.8)
    params = settings(generator=str(tmp_path / "base"), vae=str(tmp_path / "vae"), refiner=spec, num_inference_steps=10)
    generator = Generator(params)
    assert generator.refiner.vae is generator.pipeline.vae
    assert generator.refiner.text_encoder_2 is generator.pipeline.text_encoder_2
    assert "unet/diffusion_pytorch_model.safetensors" in generator.inputs["refiner"]["files"]
    assert not [file for file in generator.inputs["refiner"]["files"] if file.startswith(("vae/", "text_encoder_2/"))]
    assert set(generator.inputs["vae"]["files"]) == {"config.json", "diffusion_pytorch_model.safetensors"}
    assert not [file for file in generator.inputs["files"] if file.startswith("vae/")]
    whole = Generator(replace(params, generator=str(base), vae=None))
    assert np.array_equal(whole.generate_images(KEYS[:4], TEXTS[:4]), generator.generate_images(KEYS[:4], TEXTS[:4]))
    plain = Generator(replace(params, generator=str(base), vae=None, refiner=None))
    assert not {"refiner", "vae"} & set(plain.inputs)
    prints = {one.fingerprint for one in (generator, whole, plain)}
    prints.add(Generator(replace(params, refiner=replace(spec, base_share=0.7))).fingerprint)
    weights = tmp_path / "refiner/unet/diffusion_pytorch_model.safetensors"
    save_file({name: -tensor for name, tensor in load_file(weights).items()}, weights, {"format": "pt"})
    prints.add(Generator(params).fingerprint)
    assert len(prints) == 5
    with pytest.raises(FileNotFoundError, match=r"images.vae: .*config.json is missing"):
        Generator(replace(params, vae=str(tmp_path)))
    with pytest.raises(ValueError, match=r"images.vae: .*UNet2DConditionModel is no autoencoder"):
        Generator(replace(params, vae=str(base / "unet")))
