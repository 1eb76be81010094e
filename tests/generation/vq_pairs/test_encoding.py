"""A picture's tokens are those of the quantiser, whatever company the picture is in."""

import numpy as np
import pytest
import torch

from desk_models.tokenizer import build
from synthpairs.emoji.pool import SIDE
from synthpairs.generation.vq_pairs.encoding import BATCH, Encoder
from synthpairs.models.vq_tokenizer import pixel_range
from tests.generation.vq_pairs.conftest import CODES


@pytest.fixture(scope="module")
def pictures():
    """Noise, coarse enough to survive the encoder; more than a batch and no multiple of one."""
    noise = torch.rand(BATCH + 9, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(noise, SIDE) * 255).byte()


def test_tokens_are_the_quantisers_codes(tiny_vq, pictures):
    tokens = Encoder(tiny_vq).tokens(pictures)
    assert (tokens.shape, tokens.dtype) == ((BATCH + 9, 8, 8), np.uint16)
    assert len(np.unique(tokens)) > CODES // 8
    low, high = pixel_range(tiny_vq)
    pixels = low + (high - low) * pictures.float() / 255
    codes = tiny_vq.quantize(tiny_vq.encode(pixels).latents)[2][2].view(-1, 8, 8)
    assert (tokens == codes.numpy()).mean() > 0.999  # another batch size may move a code that lies between two


def test_other_pictures_change_nothing(tiny_vq, pictures):
    encoder = Encoder(tiny_vq)
    together = encoder.tokens(pictures)
    assert np.array_equal(encoder.tokens(pictures[5:12]), together[5:12])
    assert np.array_equal(encoder.tokens(pictures.flip(0)), together[::-1])


def test_a_codebook_beyond_16_bits_is_refused():
    with pytest.raises(ValueError, match="65537 codes: tokens are stored in 16 bits"):
        Encoder(build([8, 8], 2**16 + 1, 4))
