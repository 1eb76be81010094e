import itertools
import math

import pytest
import torch

from synthpairs.generation.masked.decoding import decode, gumbel, key_noise, masked_counts, sample_tokens
from tests.generation.conftest import KEYS as ALL

CODES, CHANNELS, GRID, MASK = 11, 3, (3, 4), 11
KEYS = ALL[:6]


@pytest.fixture
def model():
    """A random function from grids to logits, in which every cell depends on every other."""
    source = torch.Generator().manual_seed(0)
    embedding = torch.randn(MASK + 1, 16, generator=source)
    positions = torch.randn(math.prod(GRID), 16, generator=source)
    mixing = torch.randn(math.prod(GRID), math.prod(GRID), generator=source)
    output = torch.randn(16, CODES, generator=source) * 0.3

    def logits_of(grids):
        hidden = torch.tanh(mixing @ embedding[grids.flatten(1)] + positions)
        return (hidden @ output).transpose(1, 2).reshape(len(grids), CODES, *GRID)

    return logits_of


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize(("cells", "steps"), [(64, 1), (64, 12), (9, 100), (1, 3)])
def test_fewer_cells_stay_masked_until_none_does(cells, steps, schedule):
    counts = masked_counts(cells, steps, schedule)
    assert len(counts) == steps
    assert counts[-1] == 0
    before = [cells, *counts[:-1]]
    assert all(after < count or after == count == 1 for after, count in zip(counts, before, strict=True))
    assert all(count >= 1 for count in counts[:-1])
    assert masked_counts(64, 12, "cosine") == [63, 61, 59, 55, 50, 45, 38, 32, 24, 16, 8, 0]
    assert masked_counts(64, 4, "linear") == [48, 32, 16, 0]
    assert masked_counts(256, 12, "cosine")[0] == 253


def test_noise_depends_on_the_key_alone():
    together = key_noise(KEYS, 4, GRID)
    assert together.shape == (6, 4, 2, *GRID)
    assert ((together >= 0) & (together < 1)).all()
    assert torch.equal(key_noise(KEYS[3:4], 4, GRID)[0], together[3])
    assert torch.equal(key_noise(KEYS[::-1], 4, GRID).flip(0), together)
    assert torch.equal(key_noise(KEYS, 2, GRID), together[:, :2]), "a step's noise does not depend on how many follow"
    assert len({tuple(noise.flatten().tolist()) for noise in together}) == len(KEYS)


def test_tokens_are_sampled_from_their_distribution():
    probs = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2])
    uniform = torch.rand(1, 100_000, generator=torch.Generator().manual_seed(0))
    tokens = sample_tokens(probs.log().expand(1, 100_000, 5), uniform)[0]
    assert torch.allclose(tokens.bincount(minlength=5) / 100_000, probs, atol=0.006)
    edges = torch.tensor([[0.0, 0.49999, 0.5, 0.79999, 0.81, 1 - 2**-24]])
    assert sample_tokens(probs.log().expand(1, 6, 5), edges).tolist() == [[1, 1, 3, 3, 4, 4]]
    noise = gumbel(uniform)
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.01)
    assert noise.std().item() == pytest.approx(math.pi / math.sqrt(6), abs=0.01)
    assert gumbel(torch.tensor([0.0, 1.0])).isfinite().all()


def reference(model, steps, schedule):
    """Greedy decoding of one grid, cell by cell, as in the papers, without our code."""
    cells = math.prod(GRID)
    known = {}
    for step in range(steps):
        grid = torch.tensor([known.get(cell, MASK) for cell in range(cells)]).view(1, *GRID)
        logits = model(grid)[0].flatten(1)
        best = {}
        for cell in set(range(cells)) - set(known):
            probs = torch.softmax(logits[:, cell].double(), 0).tolist()
            code = max(range(CODES), key=lambda code: probs[code])
            best[cell] = (probs[code], code)
        share = (step + 1) / steps
        left = math.floor(cells * (math.cos(math.pi / 2 * share) if schedule == "cosine" else 1 - share))
        left = 0 if step == steps - 1 else max(1, min(len(best) - 1, left))
        for cell in sorted(best, key=lambda cell: best[cell][0])[left:]:
            known[cell] = best[cell][1]
    return [known[cell] for cell in range(cells)]


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 5, 12])
def test_greedy_decoding_equals_a_plain_loop(model, steps, schedule):
    tokens, vectors = decode(model, key_noise(KEYS[:2], steps, GRID), MASK, schedule, None)
    assert vectors is None
    assert tokens.flatten(1).tolist() == [reference(model, steps, schedule)] * 2


def test_every_step_gets_the_fixed_tokens_and_no_others(model):
    inputs = []

    def recorded(grids):
        inputs.append(grids.clone())
        return model(grids)

    tokens, _ = decode(recorded, key_noise(KEYS, 5, GRID), MASK, "cosine", [2.0, 0.0])
    assert [(grids == MASK).flatten(1).sum(1).unique().tolist() for grids in inputs] == [
        [count] for count in [12, *masked_counts(12, 5, "cosine")[:-1]]
    ]
    for grids in inputs:
        assert torch.equal(torch.where(grids == MASK, tokens, grids), tokens), "a fixed token changed"
    assert tokens.min() >= 0
    assert tokens.max() < CODES
    alone = [decode(model, key_noise([key], 5, GRID), MASK, "cosine", [2.0, 0.0])[0][0] for key in KEYS]
    assert torch.equal(tokens, torch.stack(alone)), "other keys in the batch change nothing"


def test_at_temperature_zero_tokens_are_still_sampled(model):
    cold, _ = decode(model, key_noise(KEYS, 4, GRID), MASK, "cosine", [0.0, 0.0])
    hot, _ = decode(model, key_noise(KEYS, 4, GRID), MASK, "cosine", [4.0, 4.0])
    greedy, _ = decode(model, key_noise(KEYS, 4, GRID), MASK, "cosine", None)
    assert len({tuple(row) for row in cold.flatten(1).tolist()}) == len(KEYS)
    assert len({tuple(row) for row in greedy.flatten(1).tolist()}) == 1
    assert not torch.equal(cold, hot)


def test_soft_vectors_are_expectations_at_the_step_that_fixed_the_token(model):
    codebook = torch.randn(CODES, CHANNELS, generator=torch.Generator().manual_seed(1))
    _, vectors = decode(model, key_noise(KEYS[:2], 1, GRID), MASK, "cosine", None, codebook)
    logits = model(torch.full((2, *GRID), MASK))
    assert torch.allclose(vectors, torch.einsum("nkrc,kd->ndrc", logits.softmax(1), codebook), atol=1e-6)

    steps = []

    def recorded(grids):
        steps.append((grids == MASK, model(grids)))
        return steps[-1][1]

    tokens, vectors = decode(recorded, key_noise(KEYS[:2], 4, GRID), MASK, "cosine", [2.0, 0.0], codebook)
    without_vectors, _ = decode(model, key_noise(KEYS[:2], 4, GRID), MASK, "cosine", [2.0, 0.0])
    assert torch.equal(tokens, without_vectors)
    for (masked, logits), (masked_next, _) in itertools.pairwise([*steps, (torch.zeros_like(steps[0][0]), None)]):
        fixed = masked & ~masked_next
        mean = torch.einsum("nkrc,kd->ndrc", logits.softmax(1), codebook)
        assert torch.allclose(vectors.movedim(1, -1)[fixed], mean.movedim(1, -1)[fixed], atol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_an_error(model, value):
    def broken(grids):
        logits = model(grids)
        logits[0, 0, 0, 0] = value
        return logits

    with pytest.raises(ValueError, match="not finite"):
        decode(broken, key_noise(KEYS, 2, GRID), MASK, "cosine", None)
