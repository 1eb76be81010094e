import numpy as np
import pytest
import torch
from torch.nn import functional as F

from desk_models.blurred import PATCHES, BlurredCaptions

WIDTH = 64


@pytest.fixture(scope="module")
def blur():
    generator = torch.manual_seed(0)
    words = torch.randn(500, WIDTH, dtype=torch.float64, generator=generator) * 0.1
    captions = words[torch.randint(500, (300, 3), generator=generator)].mean(1)
    return BlurredCaptions.of(captions + 0.5, words, 0.5)


def draw(blur, clearness, patches, count=300):
    rng = np.random.default_rng(1)
    return torch.stack([blur.tokens(index, clearness, patches, rng) for index in range(count)])


def test_directions_are_unit_vectors_around_the_captions_mean(blur):
    torch.testing.assert_close(blur.captions.norm(dim=1), torch.ones(300))
    assert blur.captions.mean(0).norm() < 0.2
    assert blur.centre.mean() == pytest.approx(0.5, abs=0.05)
    assert blur.spread == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("clearness", [0.1, 0.5, 1.0])
def test_a_class_token_has_the_requested_cosine_with_its_caption(blur, clearness):
    tokens = draw(blur, clearness, 0)[:, 0]
    cosine = F.cosine_similarity(tokens - tokens.mean(0), blur.captions).mean().item()
    assert cosine == pytest.approx(clearness, abs=0.12)


def test_a_class_token_has_about_the_length_of_a_word_embedding(blur):
    tokens = draw(blur, 0.3, 0)[:, 0]
    assert torch.equal(draw(blur, 0.3, 0)[:, 0], tokens)
    assert (tokens - blur.centre).norm(dim=1).mean() == pytest.approx(blur.spread * WIDTH**0.5, rel=0.25)


def test_patches_are_less_clear_than_the_class_token(blur):
    tokens = draw(blur, 0.9, PATCHES)
    assert tokens.shape == (300, 1 + PATCHES, WIDTH)
    tokens = tokens - tokens.mean((0, 1))
    cosine = F.cosine_similarity(tokens, blur.captions[:, None], dim=2).mean(0)
    assert cosine[1:].max() < 0.5 * cosine[0]
