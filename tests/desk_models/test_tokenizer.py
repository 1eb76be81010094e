"""The VQ tokenizer learns, keeps its codes in use, and measures itself."""

import numpy as np
import pytest
import torch

from desk_models.tokenizer import Learner, build, evaluate, loss_of
from synthpairs.emoji.pool import SIDE, Pool

FREE, IDLE = 2, 4


@pytest.fixture(scope="module")
def pool():
    """Plain squares of many colours."""
    torch.manual_seed(0)
    colours = torch.randint(0, 256, (16, 3, 1, 1), dtype=torch.uint8)
    return Pool([None] * 16, colours.expand(-1, -1, SIDE, SIDE).contiguous(), {})  # type: ignore[list-item]


def trained(pool, steps):
    torch.manual_seed(0)
    learner = Learner(build([8, 8, 8, 16], 32, 4))
    optimizer = torch.optim.Adam(learner.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        loss = loss_of(learner, np.random.default_rng([0, step]), pool, 4, FREE, IDLE, 0.25)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return learner, losses


def test_it_learns_the_same_way_twice(pool):
    learner, losses = trained(pool, 16)
    again, _ = trained(pool, 16)
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    assert all(torch.equal(one, other) for one, other in zip(learner.parameters(), again.parameters(), strict=True))


def test_the_codebook_starts_from_what_the_encoder_says(pool):
    before, _ = trained(pool, FREE)
    assert before.vq.quantize.embedding.weight.abs().max() <= 1 / 32  # diffusers' own start, untouched without codes
    after, _ = trained(pool, FREE + 1)
    assert after.vq.quantize.embedding.weight.std() > 1 / 32


def test_idle_codes_are_placed_anew(pool):
    learner, _ = trained(pool, FREE + 1)
    with torch.no_grad():
        learner.vq.quantize.embedding.weight[5] = 1e3  # out of everything's reach
    learner.idle[5] = IDLE + 1
    loss_of(learner, np.random.default_rng(0), pool, 4, FREE, IDLE, 0.25)
    assert learner.vq.quantize.embedding.weight[5].abs().max() < 1e2


def test_codes_decode_as_amused_decodes_them(pool):
    vq = trained(pool, 4)[0].vq.eval().requires_grad_(False)
    latents = vq.encode(pool.pixels(torch.arange(3))).latents
    vectors, _, (_, _, codes) = vq.quantize(latents)
    grid = codes.view(3, 8, 8)
    decoded = vq.decode(grid, force_not_quantize=True, shape=(3, 8, 8, vq.config.latent_channels)).sample
    torch.testing.assert_close(decoded, vq.decoder(vq.post_quant_conv(vectors)))


def test_measures(pool):
    measured = evaluate(trained(pool, 4)[0].vq.eval(), pool, count=16)
    assert 0 < measured["psnr_db"] < 60
    assert 0 < measured["codes_used"] <= 1
