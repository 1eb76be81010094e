"""Section `generate_tokens` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

# Version of the mapping from key, caption and settings to a token grid; see synthpairs.generation.diffusion.params.RECIPE.
RECIPE = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateTokens:
    """Section `generate_tokens`: the masked generator, its settings, token grids per caption, and how they are stored."""

    generator: str  # directory of an AmusedPipeline, or NAME@REVISION on the Hugging Face hub
    candidates: Annotated[int, Within(1, 64)]  # token grids per caption
    num_inference_steps: Annotated[int, Within(1, 1000)]  # of the decoding
    guidance_scale: Annotated[float, Within(0, 100)]  # classifier-free guidance scale; 1 or less: none
    # Of the Gumbel noise on the confidence: first and last step, linear between. Null: greedy, always the likeliest token.
    temperature: list[Annotated[float, Within(0, 100)]] | None
    schedule: Literal["cosine", "linear"]  # of the share of masked cells
    vectors: Literal["hard", "soft"]  # soft: also each cell's expected codebook vector
    dtype: Literal["float32", "bfloat16", "float16"]  # of text encoder and transformer; the VQ model stays in float32
    batch_size: Annotated[int, Within(1, 1024)]  # token grids
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
