"""Settings of the images stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.params import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Section `images`: which pipeline paints how many candidates per caption, and how they are kept."""

    generator: str  # directory of a diffusers pipeline, or NAME@REVISION on the Hugging Face hub
    candidates: Annotated[int, Within(1, 64)]  # pictures per caption
    steps: Annotated[int, Within(1, 1000)]  # of the sampler
    guidance: Annotated[float, Within(0, 100)]  # classifier-free guidance scale; 1 or less: none
    negative_prompt: str | None  # null: the pipeline's own idea of nothing, which differs from "" for SDXL
    side: Annotated[int, Within(8, 4096)]  # pixels, a multiple of 8
    scheduler: (
        Literal[
            "DDIMScheduler",
            "DPMSolverMultistepScheduler",
            "EulerAncestralDiscreteScheduler",
            "EulerDiscreteScheduler",
            "HeunDiscreteScheduler",
            "LCMScheduler",
            "UniPCMultistepScheduler",
        ]
        | None
    )  # null: the one in the model's files
    dtype: Literal["float32", "bfloat16", "float16"]
    batch: Annotated[
        int, Within(1, 1024)
    ]  # pictures at once; an odd number may keep it to one core, see synthpairs.inference
    format: Literal["png", "webp"]  # both lossless
    mark: bool  # whether files say by XMP that a model made them
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
