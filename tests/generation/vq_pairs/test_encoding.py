import numpy as np
import pytest
import torch

from desk_models.tokenizer import build
from synthpairs.emoji.pool import SIDE
from synthpairs.generation.vq_pairs.encoding import BATCH, Encoder
from synthpairs.models.vq_tokenizer import pixel_range
from tests.generation.vq_pairs.conftest import CODES


def test_tokens_are_the_quantisers_whatever_else_is_encoded(tiny_vq):
    noise = torch.rand(BATCH + 9, 3, 8, 8, generator=torch.Generator().manual_seed(0))  # no multiple of a batch
    pictures = (torch.nn.functional.interpolate(noise, SIDE) * 255).byte()  # coarse, because the encoder blurs
    encoder = Encoder(tiny_vq)
    advances = []
    tokens = encoder.tokens(pictures, advances.append)
    assert advances == [BATCH, 9]
    assert (tokens.shape, tokens.dtype) == ((BATCH + 9, 8, 8), np.uint16)
    assert len(np.unique(tokens)) > CODES // 8
    low, high = pixel_range(tiny_vq)
    pixels = low + (high - low) * pictures.float() / 255
    codes = tiny_vq.quantize(tiny_vq.encode(pixels).latents)[2][2].view(-1, 8, 8)
    assert (tokens == codes.numpy()).mean() > 0.999  # another batch size may change tokens between two vectors
    assert np.array_equal(encoder.tokens(pictures[5:12], advances.append), tokens[5:12])
    assert np.array_equal(encoder.tokens(pictures.flip(0), advances.append), tokens[::-1])
    with pytest.raises(ValueError, match="65537 codes: tokens are stored in 16 bits"):
        Encoder(build([8, 8], 2**16 + 1, 4))
