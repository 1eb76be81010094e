"""Iterative masked decoding (MaskGIT, arXiv 2202.04200), as aMUSEd does it (arXiv 2401.01808), with noise from the key.

All cells of a token grid start masked. A step draws a code for every masked cell, keeps those the model is surest of and
masks the rest again, fewer each time. diffusers' AmusedScheduler draws one noise for the whole batch; here a picture has
its own, so that its codes do not depend on its company.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from synthpairs.core.schema import noise_seed


def masked_counts(cells: int, steps: int, schedule: str) -> list[int]:
    """How many cells are masked after each step: fewer than before, but at least one until the last step leaves none.

    In double precision: diffusers counts in float32 and masks one cell less where the exact count is whole.
    """
    counts: list[int] = []
    before = cells
    for step in range(1, steps):
        share = math.cos(math.pi / 2 * step / steps) if schedule == "cosine" else 1 - step / steps
        before = max(1, min(before - 1, math.floor(cells * share)))
        counts.append(before)
    return [*counts, 0]


def noise_of(keys: Sequence[str], steps: int, grid: tuple[int, int]) -> Tensor:
    """Uniform noise [n, steps, 2, rows, columns] in [0, 1), float32 on the CPU: for drawing codes, and for ranking them."""
    sources = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
    return torch.stack([torch.rand(steps, 2, *grid, generator=source) for source in sources])


def gumbel(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise of uniform noise in [0, 1)."""
    return -(-uniform.clamp(1e-20).log()).clamp(1e-20).log()


def drawn(log_probs: Tensor, uniform: Tensor) -> Tensor:
    """A code for each cell [n, cells] from its distribution [n, cells, codes], by inversion of one uniform number."""
    cumulative = log_probs.exp().cumsum(-1)
    aimed = uniform[..., None] * cumulative[..., -1:]
    return torch.searchsorted(cumulative, aimed, right=True)[..., 0].clamp(max=log_probs.shape[-1] - 1)


def expected(log_probs: Tensor, codebook: Tensor) -> Tensor:
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
    """Codes [n, rows, columns], and with a codebook [codes, channels] expected vectors [n, channels, rows, columns].

    `logits_of` answers grids that hold `mask_id` where they are masked with logits [n, codes, rows, columns]. `noise` is as
    `noise_of` makes it, one step of it to a step here. `temperature` of the ranking's noise falls from the first value to
    the last; at 0 codes are still drawn, while None is greedy: the likeliest code, no noise. A cell's expected vector is
    of the step that settled it, as no training ever asked the model about cells that it can see. ValueError when a logit is
    not finite.
    """
    count, steps, _, *grid = noise.shape
    cells = math.prod(grid)
    noise = noise.flatten(3)
    heat = None if temperature is None else torch.linspace(temperature[0], temperature[-1], steps).tolist()
    tokens = torch.full((count, cells), mask_id, device=noise.device)
    masked = torch.ones_like(tokens, dtype=torch.bool)
    vectors = torch.zeros(count, cells, codebook.shape[1], device=noise.device) if codebook is not None else None
    for step, left in enumerate(masked_counts(cells, steps, schedule)):
        logits = logits_of(tokens.masked_fill(masked, mask_id).view(count, *grid))
        if not logits.isfinite().all():
            raise ValueError("the logits hold values that are not finite")
        log_probs = logits.float().flatten(2).transpose(1, 2).log_softmax(-1)
        codes = log_probs.argmax(-1) if heat is None else drawn(log_probs, noise[:, step, 0])
        tokens = torch.where(masked, codes, tokens)
        confidence = log_probs.gather(-1, tokens[..., None])[..., 0]
        if heat is not None:
            confidence = confidence + heat[step] * gumbel(noise[:, step, 1])
        unsure = confidence.masked_fill(~masked, math.inf).argsort(dim=-1, stable=True)[:, :left]
        still = torch.zeros_like(masked).scatter(1, unsure, True)
        if codebook is not None and vectors is not None:
            settled = masked & ~still
            vectors = torch.where(settled[..., None], expected(log_probs, codebook), vectors)
        masked = still
    soft = None if vectors is None else vectors.transpose(1, 2).reshape(count, -1, *grid)
    return tokens.view(count, *grid), soft
