import numpy as np
import pytest
import torch

from desk_models.tokenizer import TokenizerModel, build, evaluate, loss_of
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
    model = TokenizerModel(build([8, 8, 8, 16], 32, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        loss = loss_of(model, np.random.default_rng([0, step]), pool, 4, FREE, IDLE, 0.25)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def test_training_is_deterministic(pool):
    model, losses = trained(pool, 16)
    again, _ = trained(pool, 16)
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_the_codebook_is_initialised_with_encoder_outputs(pool):
    before, _ = trained(pool, FREE)
    assert (
        before.vq.quantize.embedding.weight.abs().max() <= 1 / 32
    )  # diffusers' initialisation, without quantisation unchanged
    after, _ = trained(pool, FREE + 1)
    assert after.vq.quantize.embedding.weight.std() > 1 / 32


def test_codebook_vectors_without_use_are_reset(pool):
    model, _ = trained(pool, FREE + 1)
    with torch.no_grad():
        model.vq.quantize.embedding.weight[5] = 1e3  # never the nearest
    model.idle[5] = IDLE + 1
    loss_of(model, np.random.default_rng(0), pool, 4, FREE, IDLE, 0.25)
    assert model.vq.quantize.embedding.weight[5].abs().max() < 1e2


def test_tokens_decode_as_in_amused(pool):
    vq = trained(pool, 4)[0].vq.eval().requires_grad_(False)
    latents = vq.encode(pool.pixels(torch.arange(3))).latents
    vectors, _, (_, _, tokens) = vq.quantize(latents)
    grid = tokens.view(3, 8, 8)
    decoded = vq.decode(grid, force_not_quantize=True, shape=(3, 8, 8, vq.config.latent_channels)).sample
    torch.testing.assert_close(decoded, vq.decoder(vq.post_quant_conv(vectors)))


def test_evaluate(pool):
    metrics = evaluate(trained(pool, 4)[0].vq.eval(), pool, count=16)
    assert 0 < metrics["psnr_db"] < 60
    assert 0 < metrics["codes_used"] <= 1
