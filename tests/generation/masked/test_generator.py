import shutil

import numpy as np
import pytest
import torch
from diffusers import AmusedPipeline

from desk_models import masked
from synthpairs.core import determinism
from synthpairs.generation.masked.generator import MaskedGenerator
from tests.generation.conftest import KEYS
from tests.generation.masked.conftest import CHANNELS, CODES, GRID, TEXTS, save_masked


@pytest.mark.parametrize(("guidance", "schedule"), [(1.0, "cosine"), (3.0, "cosine"), (3.0, "linear")])
def test_greedy_tokens_are_those_of_diffusers(settings, tiny_masked, guidance, schedule, monkeypatch):
    """AmusedPipeline samples with one generator for the whole batch, so it is patched to take the likeliest tokens.

    It keeps all tied cells. U-ViTs have no positions, so cells tie that are far from the border; in a 4 x 4 grid none are.
    """
    greedy = settings(temperature=None, candidates=1, guidance_scale=guidance, schedule=schedule, num_inference_steps=7)
    ours, _ = MaskedGenerator(greedy).decode(KEYS[:4], TEXTS[:4])
    pipeline = AmusedPipeline.from_pretrained(tiny_masked)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler.register_to_config(masking_schedule=schedule)
    monkeypatch.setattr(torch, "multinomial", lambda probs, count, generator: probs.argmax(-1, keepdim=True))
    theirs = pipeline(TEXTS[:4], num_inference_steps=7, guidance_scale=guidance, temperature=(0, 0), output_type="latent",
                      generator=torch.Generator()).images  # fmt: skip
    assert ours.dtype == np.uint16
    assert np.array_equal(ours, theirs.numpy())
    assert len({row.tobytes() for row in ours}) > 1, "captions have no effect"


@pytest.mark.parametrize(("batch", "threads"), [(4, 1), (4, 2), (7, 2)])
def test_tokens_do_not_depend_on_the_batch_or_their_row_in_it(settings, batch, threads):
    generator = MaskedGenerator(settings(batch_size=batch, vectors="soft"))
    keys, texts = KEYS[:batch], TEXTS[:batch]
    with determinism.torch_threads(threads):
        together = generator.decode(keys, texts)
        alone = [generator.decode([key], [text]) for key, text in zip(keys, texts, strict=True)]
        reverse = generator.decode(keys[::-1], texts[::-1])
    for part in (0, 1):  # tokens, vectors
        assert np.array_equal(np.concatenate([one[part] for one in alone]), together[part])
        assert np.array_equal(reverse[part][::-1], together[part])
    tokens, vectors = together
    without_vectors, _ = MaskedGenerator(settings(batch_size=batch)).decode(keys, texts)
    assert np.array_equal(tokens, without_vectors)
    assert (vectors.dtype, vectors.shape) == (np.float16, (batch, CHANNELS, *GRID))
    low, high = generator.codebook.min(0)[:, None, None], generator.codebook.max(0)[:, None, None]
    assert ((vectors >= low - 1e-2) & (vectors <= high + 1e-2)).all(), "means are in the range of the codebook"


def test_conditions_are_those_of_the_training_and_only_the_vq_model_stays_in_float32(settings):
    generator = MaskedGenerator(settings())
    ours = generator.conditions(TEXTS)
    theirs = masked.conditions(TEXTS, generator.tokenizer, generator.pipeline.text_encoder)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    tokens = [
        MaskedGenerator(settings(guidance_scale=scale)).decode(KEYS[:4], TEXTS[:4])[0] for scale in (0.0, 1.0, 3.0)
    ]
    assert np.array_equal(tokens[0], tokens[1]), "no guidance at a scale of one or less"
    assert not np.array_equal(tokens[1], tokens[2])
    half = MaskedGenerator(settings(dtype="bfloat16"))
    assert half.pipeline.transformer.dtype == half.pipeline.text_encoder.dtype == torch.bfloat16
    assert half.pictures(half.decode(KEYS[:2], TEXTS[:2])[0]).dtype == np.float32
    assert np.array_equal(half.codebook, generator.codebook)


def test_pictures_are_those_of_diffusers(settings, tiny_masked):
    generator = MaskedGenerator(settings())
    tokens, _ = generator.decode(KEYS[:4], TEXTS[:4])
    ours = generator.pictures(np.concatenate([tokens, tokens[:1]]))
    pipeline = AmusedPipeline.from_pretrained(tiny_masked)
    with torch.inference_mode():
        codes = torch.from_numpy(tokens.astype(np.int64))
        theirs = pipeline.vqvae.decode(codes, force_not_quantize=True, shape=(4, *GRID, CHANNELS)).sample
    assert ours.shape == (5, 64, 64, 3)
    assert ours.dtype == np.float32
    assert np.allclose(ours[:4], theirs.clip(0, 1).permute(0, 2, 3, 1).numpy(), atol=1e-5)
    assert np.allclose(ours[4], ours[0], atol=1e-5)
    with pytest.raises(ValueError, match=rf"token {CODES} lies beyond the codebook of {CODES}"):
        generator.pictures(np.full((1, *GRID), CODES, dtype=np.uint16))


def test_fingerprint_covers_what_changes_tokens(settings, tiny_masked, tmp_path):
    changes = [
        {},
        {"num_inference_steps": 3},
        {"guidance_scale": 2.0},
        {"temperature": [1.0, 0.0]},
        {"schedule": "linear"},
    ]
    changes += [{"vectors": "soft"}, {"dtype": "bfloat16"}, {"temperature": None, "candidates": 1}]
    prints = [MaskedGenerator(settings(**change)).fingerprint for change in changes]
    assert len(set(prints)) == len(prints)
    assert MaskedGenerator(settings(batch_size=2, candidates=3, samples_per_shard=2)).fingerprint == prints[0]
    copy = tmp_path / "generator"
    shutil.copytree(tiny_masked, copy)
    one = MaskedGenerator(settings(generator=str(copy))).fingerprint
    weights = copy / "transformer/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert MaskedGenerator(settings(generator=str(copy))).fingerprint != one


def test_invalid_settings_are_errors(settings, tiny_generator, tmp_path):
    other = str(save_masked(tmp_path / "other", vq_codes=CODES - 1))
    for changed, message in (
        (
            {"generator": "models/none"},
            r"generate_tokens.generator: 'models/none' is neither a directory nor OWNER/NAME@",
        ),
        ({"generator": str(tmp_path)}, r"model_index.json is missing: generate_tokens.generator must be"),
        (
            {"generator": str(tiny_generator)},
            r"generate_tokens.generator: StableDiffusionXLPipeline is no AmusedPipeline",
        ),
        ({"temperature": [1.0]}, r"generate_tokens.temperature must be \[first, last\], got \[1.0\]"),
        (
            {"temperature": None},
            r"generate_tokens.candidates must be 1 when temperature is null, got 2",
        ),
        ({"generator": other, "vectors": "soft"}, r"soft needs .* VQ model of the same codes, not 32 and 31"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            MaskedGenerator(settings(**changed))
