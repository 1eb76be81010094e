import numpy as np
import pytest
import torch

from synthpairs.models.vq_tokenizer import latents, load_tokenizer, picture_side, pixel_range, read_codebook, render
from tests.generation.masked.conftest import CHANNELS, CODES, GRID


@pytest.fixture
def vq(tiny_masked):
    """The tokenizer of the tiny pipeline, without a pixel_range."""
    return load_tokenizer(tiny_masked, "it")


def test_a_directory_without_a_tokenizer_is_an_error_with_the_param(tmp_path):
    for read in (load_tokenizer, read_codebook):
        with pytest.raises(
            FileNotFoundError, match=r"vqvae/config\.json is missing: encode_real_pairs\.tokenizer must be"
        ):
            read(tmp_path, "encode_real_pairs.tokenizer")


def test_the_codebook_is_the_models(tiny_masked, vq):
    book = read_codebook(tiny_masked, "it")
    assert book.shape == (CODES, CHANNELS)
    assert book.dtype == np.float32
    assert np.array_equal(book, vq.quantize.embedding.weight.detach().numpy())


def test_the_picture_side_follows_from_the_generators_grid(tiny_masked, vq):
    vq.register_to_config(sample_size=32)  # as aMUSEd's of 256 pixels
    assert picture_side(tiny_masked, vq) == 64


def test_pixels_are_in_the_configured_range(vq):
    pictures = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    assert pixel_range(vq) == (0.0, 1.0)
    with torch.no_grad():
        torch.testing.assert_close(latents(vq, pictures), vq.encode(pictures / 255).latents)
        vq.register_to_config(pixel_range=[-1, 1])
        torch.testing.assert_close(latents(vq, pictures), vq.encode(pictures / 127.5 - 1).latents)


def test_tokens_are_decoded_as_by_diffusers(vq):
    tokens = np.random.default_rng(0).integers(CODES, size=(3, *GRID)).astype(np.uint16)
    with torch.no_grad():
        plain = vq.decode(torch.from_numpy(tokens.astype(np.int64)), True, shape=(3, *GRID, CHANNELS)).sample.float()
    torch.testing.assert_close(render(vq, tokens), plain.clamp(0, 1), rtol=0, atol=1e-4)
    vq.register_to_config(pixel_range=[-1, 1])
    torch.testing.assert_close(render(vq, tokens), ((plain + 1) / 2).clamp(0, 1), rtol=0, atol=1e-4)
