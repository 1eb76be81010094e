"""Settings of the embed stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

# Version of how a token grid comes of a key, a caption and the settings, as diffusion.params.RECIPE is of pictures.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed:
    """Section `embed`: which masked generator fills how many token grids per caption, and how they are kept."""

    generator: str  # directory of an AmusedPipeline, or NAME@REVISION on the Hugging Face hub
    candidates: Annotated[int, Within(1, 64)]  # token grids per caption
    steps: Annotated[int, Within(1, 1000)]  # of the decoding
    guidance: Annotated[float, Within(0, 100)]  # classifier-free guidance scale; 1 or less: none
    # Of the Gumbel noise on the confidence: first step and last, linear between. Null: greedy, the likeliest code everywhere.
    temperature: list[Annotated[float, Within(0, 100)]] | None
    schedule: Literal["cosine", "linear"]  # of the share of masked cells
    vectors: Literal["hard", "soft"]  # soft: each cell's expected codebook vector is kept beside its code
    dtype: Literal["float32", "bfloat16", "float16"]  # of text encoder and transformer; the VQ model stays in float32
    batch: Annotated[int, Within(1, 1024)]  # token grids at once
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
