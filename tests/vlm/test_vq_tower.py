import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from synthpairs.core.determinism import compute_dtype
from synthpairs.generation.masked.tokens import codebook_vectors
from synthpairs.models.vq_tokenizer import read_codebook
from synthpairs.vlm.model import IMAGE_TOKEN, assemble, load, picture_tokens, save
from synthpairs.vlm.vq_tower import VqLlava, codebook, load_vq_tower


@pytest.fixture
def coded(parts, resampler):
    """The tiny model with a VQ tokenizer as vision tower, and its processor."""
    return assemble(parts, resampler)


def test_a_picture_becomes_latents_many_tokens_and_gives_the_features_of_its_vq_tokens(coded, resampler, picture):
    model, processor = coded
    assert isinstance(model, VqLlava)
    assert picture_tokens(processor) == model.config.image_seq_length == resampler.num_latents
    inputs = processor(images=picture(0), text=f"{IMAGE_TOKEN}\nhello", return_tensors="pt")
    assert int((inputs.input_ids == processor.image_token_id).sum()) == resampler.num_latents
    projected = model.model.get_image_features(inputs.pixel_values, vision_feature_layer=-1).pooler_output
    assert projected[0].shape == (resampler.num_latents, model.config.text_config.hidden_size)
    tower, pixels = model.model.vision_tower, inputs.pixel_values
    vectors = tower.encode(pixels)
    assert vectors.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):  # as in training
        assert torch.equal(tower.encode(pixels), vectors)
    tokens = torch.cdist(vectors.flatten(2).transpose(1, 2)[0], codebook(tower)).argmin(1).view(1, *vectors.shape[2:])
    again = codebook_vectors(tokens.numpy().astype(np.uint16), read_codebook(Path(resampler.tokenizer), "it"))
    torch.testing.assert_close(torch.from_numpy(again), vectors)
    torch.testing.assert_close(tower(torch.from_numpy(again)).last_hidden_state, tower(pixels).last_hidden_state)


def test_tokens_are_mixtures_of_words_whatever_the_codebooks_scale(coded):
    projector, words, book = coded[0].model.multi_modal_projector, torch.randn(5, 24), torch.randn(32, 4)
    projector.prepare(book, words)
    assert torch.equal(projector.words[:5], words)
    assert not projector.words[5:].any()
    vectors = book[:8].view(2, 4, 4)
    log_probs = projector.log_probs(vectors)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 6))
    torch.testing.assert_close(projector(vectors), log_probs.exp() @ projector.words)
    projector.prepare(100 * book + 7, words)
    torch.testing.assert_close(projector.log_probs(100 * vectors + 7), log_probs, rtol=1e-3, atol=1e-3)


def test_a_resampler_without_words_is_scaled_by_the_codebook_too(parts, resampler):
    projector, book = (
        assemble(parts, dataclasses.replace(resampler, words=None))[0].model.multi_modal_projector,
        torch.randn(32, 4),
    )
    projector.prepare(book, torch.empty(0))
    vectors = book[:8].view(2, 4, 4)
    tokens = projector(vectors)
    assert tokens.shape == (2, 6, 24)
    assert not torch.allclose(tokens[0], tokens[1])
    assert "words" not in projector.state_dict()
    projector.prepare(100 * book + 7, torch.empty(0))
    torch.testing.assert_close(projector(100 * vectors + 7), tokens, rtol=1e-3, atol=1e-3)


def test_saved_twice_it_is_the_same_bytes_and_loads_again(coded, picture, tmp_path):
    model, processor = coded
    model.model.multi_modal_projector.prepare(codebook(model.model.vision_tower), torch.randn(8, 24))
    save(model, processor, tmp_path / "one")
    save(model, processor, tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    loaded, again = load(tmp_path / "one")
    assert isinstance(loaded, VqLlava)
    assert {weight.dtype for weight in loaded.model.vision_tower.parameters()} == {torch.float32}
    assert {weight.dtype for weight in loaded.model.multi_modal_projector.parameters()} == {compute_dtype()}
    inputs = again(images=picture(0), text=f"{IMAGE_TOKEN}\nhello", return_tensors="pt")
    theirs = processor(images=picture(0), text=f"{IMAGE_TOKEN}\nhello", return_tensors="pt")
    assert torch.equal(inputs.pixel_values, theirs.pixel_values)
    with torch.no_grad():
        after, before = loaded(**inputs).logits.float(), model(**theirs).logits.float()
    torch.testing.assert_close(after, before, rtol=2e-2, atol=2e-2)


def test_a_wrong_tokenizer_or_width_names_the_param(resampler, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing: params\.yaml: resampler\.tokenizer must be an Amused"):
        load_vq_tower(dataclasses.replace(resampler, tokenizer=str(tmp_path)))
    with pytest.raises(ValueError, match=r"resampler\.hidden_size must be a multiple of num_heads, got 16 and 3"):
        load_vq_tower(dataclasses.replace(resampler, num_heads=3))
