"""Settings of the select stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within

Strategy = Literal["top", "random", "bottom", "clip-only", "ssim-only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Select:
    """Section `select`: how candidates are ranked, and how many are selected.

    The fused score is clip_weight * clip_scale * max(cosine, 0) + ssim_weight * SSIM. `normalisation` takes both as they are
    (the paper's formula), as z-scores, or as ranks; clip_scale cancels out of the latter two.
    """

    strategy: Strategy
    normalisation: Literal["sum", "zscore", "rank"]  # for the strategies top and bottom
    num_pairs: Annotated[int, Within(1)]  # candidates to select
    clip_weight: Annotated[float, Within(0, 100)]
    # CLIPScore's w: 1 in the paper's tables, 2.5 in the authors' sister code.
    clip_scale: Annotated[float, Within(0, 100)]
    ssim_weight: Annotated[float, Within(0, 100)]  # the paper's lambda
    best_of: bool  # only the best candidate of each caption competes
    per_concept: Annotated[int, Within(1)] | None  # candidates of a concept that compete; null: all
    seed: Seed  # of the strategy `random` and of the arms `random` and `real`
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
