"""Settings of the images stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

# Version of the mapping from key, caption and settings to a picture. Raise it when an edit changes pictures, which
# tests/generation/diffusion/test_recipe.py detects: all keys then change. Under one version code edits reuse stored pictures.
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
    base_share: Annotated[float, Within(0.01, 0.99)]  # of the denoising, done by the base


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraWeights:
    """Low-rank weights added to the generator's, for instance those that distil it to a few steps."""

    model: str  # directory, or OWNER/NAME@REVISION on the hub
    file: str  # .safetensors in it
    scale: Annotated[float, Within(0, 10)]  # 0: no effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Draft pass: all candidates in few steps, after which those with the best CLIP cosines get all steps."""

    num_inference_steps: Annotated[int, Within(1, 1000)]  # of a draft
    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    keep: Annotated[int, Within(1, 64)]  # candidates per caption at most
    cosine_min: Annotated[float | None, Within(-1, 1)]  # of a draft with its caption; null: no minimum


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Section `images`: the pipeline, its settings, how many candidates per caption, and how they are stored."""

    generator: str  # directory of a diffusers pipeline, or NAME@REVISION on the Hugging Face hub
    refiner: Refiner | None
    vae: str | None  # as generator, an autoencoder of diffusers; null: the generator's own
    lora: LoraWeights | None  # on the generator, not on the refiner
    candidates: Annotated[int, Within(1, 64)]  # pictures per caption
    draft: Draft | None  # null: all candidates get all steps
    limit: Annotated[int | None, Within(1)]  # pictures, of the captions with the first uids; null: no limit
    num_inference_steps: Annotated[int, Within(1, 1000)]  # of the sampler
    guidance_scale: Annotated[float, Within(0, 100)]  # classifier-free guidance scale; 1 or less: none
    negative_prompt: str | None  # null: the pipeline's default, which for SDXL differs from ""
    image_size: Annotated[int, Within(8, 4096)]  # pixels, a multiple of 8
    scheduler: Scheduler | None  # null: the one in the model's files
    scheduler_options: dict[str, object] | None  # over those in the model's files, e.g. {timestep_spacing: trailing}
    max_sequence_length: Annotated[int | None, Within(1, 4096)]  # tokens for T5; null: the pipeline's default
    long_prompts: Literal["cut", "chunk"]  # truncated at CLIP's 77 tokens, or encoded in chunks of 75 (SDXL alone)
    dtype: Literal["float32", "bfloat16", "float16"]
    # Pictures; an odd number may restrict it to one core, see synthpairs.core.determinism.
    batch_size: Annotated[int, Within(1, 1024)]
    format: Literal["png", "webp", "jpg"]
    quality: Annotated[int | None, Within(1, 100)]  # of jpg and lossy webp; null: lossless
    mark: bool  # whether XMP in the files marks them as generated
    samples_per_shard: Annotated[int, Within(1)]  # about, or fewer
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails

    def __post_init__(self) -> None:
        if self.format == "jpg" and self.quality is None:
            raise ValueError("quality must be from 1 to 100 for the format jpg, got None")
        if self.format == "png" and self.quality is not None:
            raise ValueError(f"quality must be null for the format png, which is lossless, got {self.quality}")
