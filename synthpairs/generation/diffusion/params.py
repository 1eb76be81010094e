"""Settings of the images stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

# Version of how a picture comes of a key, a caption and the settings, to be raised by whoever changes that, which
# tests/generation/diffusion/test_recipe.py notices. Pictures of other versions have other keys; an edit that changes none
# repaints none.
RECIPE = 1
Scheduler = Literal[
    "DDIMScheduler", "DDPMScheduler", "DPMSolverMultistepScheduler", "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler", "HeunDiscreteScheduler", "LCMScheduler", "TCDScheduler",
    "UniPCMultistepScheduler",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Refiner:
    """A second pipeline for the last, low-noise steps: SDXL's refiner (Podell et al. 2023, section 2.5)."""

    model: str  # as Images.generator; a StableDiffusionXLImg2ImgPipeline
    base_share: Annotated[float, Within(0.01, 0.99)]  # of the denoising that is the base's


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank weights added to the generator's, for instance those that make it paint in a few steps."""

    model: str  # directory, or OWNER/NAME@REVISION on the hub
    file: str  # .safetensors in it
    scale: Annotated[float, Within(0, 10)]  # 0: nothing is added


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Which candidates are worth all steps: those whose quickly painted picture fits the caption best."""

    steps: Annotated[int, Within(1, 1000)]  # of the sampler
    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    keep: Annotated[int, Within(1, 64)]  # candidates of each caption at most
    cosine_min: Annotated[float | None, Within(-1, 1)]  # of a draft with its caption, for its candidate to be painted


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Section `images`: which pipeline paints how many candidates per caption, and how they are kept."""

    generator: str  # directory of a diffusers pipeline, or NAME@REVISION on the Hugging Face hub
    refiner: Refiner | None
    vae: str | None  # as generator, an autoencoder of diffusers; null: the generator's own
    lora: Lora | None  # on the generator, not on the refiner
    candidates: Annotated[int, Within(1, 64)]  # pictures per caption
    draft: Draft | None  # null: every candidate is painted
    limit: Annotated[int | None, Within(1)]  # pictures, of the captions whose uids come first; null: no limit
    steps: Annotated[int, Within(1, 1000)]  # of the sampler
    guidance: Annotated[float, Within(0, 100)]  # classifier-free guidance scale; 1 or less: none
    negative_prompt: str | None  # null: the pipeline's own idea of nothing, which differs from "" for SDXL
    side: Annotated[int, Within(8, 4096)]  # pixels, a multiple of 8
    scheduler: Scheduler | None  # null: the one in the model's files
    scheduler_options: dict[str, object] | None  # over those in the model's files, e.g. {timestep_spacing: trailing}
    max_sequence_length: Annotated[int | None, Within(1, 4096)]  # tokens that T5 reads; null: the pipeline's own number
    long_prompts: Literal["cut", "chunk"]  # at CLIP's 77 tokens; or read in pieces of 75 (SDXL alone)
    dtype: Literal["float32", "bfloat16", "float16"]
    # Pictures at once; an odd number may keep it to one core, see synthpairs.core.determinism.
    batch: Annotated[int, Within(1, 1024)]
    format: Literal["png", "webp"]  # both lossless
    mark: bool  # whether files say by XMP that a model made them
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
