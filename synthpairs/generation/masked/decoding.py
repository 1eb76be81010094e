"""Iterative masked decoding (MaskGIT, arXiv 2202.04200) as in aMUSEd (arXiv 2401.01808), with noise from the key.

All cells of a token grid start masked. A step samples a token for every masked cell, keeps those of the highest confidence and
masks the rest again, fewer each time. diffusers' AmusedScheduler draws one noise for the batch; here each grid has its own, so
that its tokens do not depend on the other rows.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from synthpairs.core.schema import noise_seed


def masked_counts(cells: int, steps: int, schedule: str) -> list[int]:
    """How many cells are masked after each step: fewer each time, at least one before the last step, 0 after it.

    In double precision: diffusers computes in float32 and masks one cell less where the exact count is a whole number.
    """
    counts: list[int] = []
    count = cells
    for step in range(1, steps):
        share = math.cos(math.pi / 2 * step / steps) if schedule == "cosine" else 1 - step / steps
        count = max(1, min(count - 1, math.floor(cells * share)))
        counts.append(count)
    return [*counts, 0]


def key_noise(keys: Sequence[str], steps: int, grid: tuple[int, int]) -> Tensor:
    """Uniform noise [n, steps, 2, rows, columns] in [0, 1), float32 on the CPU: for sampling tokens, and for ranking them."""
    sources = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
    return torch.stack([torch.rand(steps, 2, *grid, generator=source) for source in sources])


def gumbel(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise from uniform noise in [0, 1)."""
    return -(-uniform.clamp(1e-20).log()).clamp(1e-20).log()


def sample_tokens(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """A token for each cell [n, cells] from its distribution [n, cells, codes], by inversion of one uniform number."""
    cumulative = log_probs.exp().cumsum(-1)
    targets = uniform[..., None] * cumulative[..., -1:]
    return torch.searchsorted(cumulative, targets, right=True)[..., 0].clamp(max=log_probs.shape[-1] - 1)


def expected_vectors(log_probs: Tensor, codebook: Tensor) -> Tensor:
    """The mean codebook vector [n, cells, channels] of each cell's distribution."""
    return log_probs.exp() @ codebook


def decode(
    logits_of: Callable[[Tensor], Tensor],
    noise: Tensor,
    mask_id: int,
    schedule: str,
    temperature: Sequence[float] | None,
    codebook: Tensor | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Tokens [n, rows, columns], and with a codebook [codes, channels] expected vectors [n, channels, rows, columns].

    `logits_of` maps grids, with `mask_id` in masked cells, to logits [n, codes, rows, columns]. `noise` is from `key_noise` and
    gives the number of steps. The `temperature` of the ranking's noise falls linearly from the first value to the last; at 0
    tokens are still sampled, while None is greedy: the likeliest tokens, no noise. The expected vector of a cell is that of the
    step that fixed its token: the model is not trained to predict cells that it sees. ValueError when a logit is not finite.
    """
    count, steps, _, *grid = noise.shape
    cells = math.prod(grid)
    noise = noise.flatten(3)
    temperatures = None if temperature is None else torch.linspace(temperature[0], temperature[-1], steps).tolist()
    tokens = torch.full((count, cells), mask_id, device=noise.device)
    masked = torch.ones_like(tokens, dtype=torch.bool)
    vectors = torch.zeros(count, cells, codebook.shape[1], device=noise.device) if codebook is not None else None
    for step, num_masked in enumerate(masked_counts(cells, steps, schedule)):
        logits = logits_of(tokens.masked_fill(masked, mask_id).view(count, *grid))
        if not logits.isfinite().all():
            raise ValueError("the logits hold values that are not finite")
        log_probs = logits.float().flatten(2).transpose(1, 2).log_softmax(-1)
        samples = log_probs.argmax(-1) if temperatures is None else sample_tokens(log_probs, noise[:, step, 0])
        tokens = torch.where(masked, samples, tokens)
        confidence = log_probs.gather(-1, tokens[..., None])[..., 0]
        if temperatures is not None:
            confidence = confidence + temperatures[step] * gumbel(noise[:, step, 1])
        lowest = confidence.masked_fill(~masked, math.inf).argsort(dim=-1, stable=True)[:, :num_masked]
        still_masked = torch.zeros_like(masked).scatter(1, lowest, True)
        if codebook is not None and vectors is not None:
            fixed = masked & ~still_masked
            vectors = torch.where(fixed[..., None], expected_vectors(log_probs, codebook), vectors)
        masked = still_masked
    soft = None if vectors is None else vectors.transpose(1, 2).reshape(count, -1, *grid)
    return tokens.view(count, *grid), soft
