"""Sections `vlm`, `resampler`, `align` and `finetune` of params.yaml: what a VLM is made of and how it is trained."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Vlm:
    """Section `vlm`: what the model is put together from."""

    # Each a directory, or OWNER/NAME@REVISION of a hub model:
    eye: str  # a CLIPVisionModel, or a CLIPModel that holds one, and its image processor
    llm: str  # a causal language model and its tokenizer
    layers: Annotated[int, Within(1, 1000)] | None  # of the language model, the first ones; null: all
    adapter: str | None  # a PEFT adapter that is merged into the language model first; null: none
    vision_feature_layer: int  # which of the eye's hidden states the projector sees; -2 is the last layer's input
    vision_feature_select: Literal["default", "full"]  # patches only, or the class token before them
    aspect: Literal["crop", "pad"]  # of pictures that are not square: the middle, or all on a square of the mean colour
    image_slot: str | None  # special token of the language model that becomes <image>; null: a new row of its embedding
    chat: Literal["chatml", "vicuna"]  # how conversations are written
    seed: int  # of the projector before any training


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampler:
    """Section `resampler`: how VQ tokens become tokens of the language model."""

    tokenizer: str  # AmusedPipeline whose VQ tokenizer is the eye: directory, or OWNER/NAME@REVISION of a hub model
    latents: Annotated[int, Within(1, 1024)]  # tokens that a picture takes
    width: Annotated[int, Within(8, 8192)]
    heads: Annotated[int, Within(1, 128)]
    depth: Annotated[int, Within(1, 48)]  # blocks
    words: Annotated[int, Within(1, 1_000_000)]  # in the table that tokens are mixed from


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What sections `align` and `finetune` have in common."""

    seed: int  # of the order of examples, of adapters, of dropout
    epochs: Annotated[float, Within(0.001, 1000)]  # passes over the examples
    max_steps: Annotated[int, Within(0)] | None  # stop there, whatever `epochs` says; 0: none at all; null: no limit
    batch: Annotated[int, Within(1, 65536)]  # examples per step
    micro_batch: Annotated[int, Within(1, 65536)]  # examples that the device holds at a time
    learning_rate: Annotated[float, Within(0, 1)]  # highest; a cosine leads to 0
    warmup: Annotated[float, Within(0, 1)]  # share of the steps in which the rate rises from 0
    weight_decay: Annotated[float, Within(0, 1)]
    max_tokens: Annotated[int, Within(2, 65536)]  # of picture and text; longer examples are left out
    max_skipped: Annotated[float, Within(0, 1)]  # share of the examples; with more left out the stage fails
    checkpoint_steps: Annotated[int, Within(1)]

    def __post_init__(self) -> None:
        if self.batch % self.micro_batch:
            raise ValueError(
                f"params.yaml: batch must be a multiple of micro_batch, got {self.batch} and {self.micro_batch} "
                f"({type(self).__name__.lower()})"
            )

    def steps(self, examples: int) -> int:
        """Optimiser steps over this many examples; none over none."""
        if not examples:
            return 0
        steps = max(1, round(self.epochs * examples / self.batch))
        return steps if self.max_steps is None else min(steps, self.max_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedForm:
    """How the projector starts: by ridge regression (`synthpairs.vlm.warmstart`)."""

    ridge: Annotated[float, Within(1e-6, 1e6)]  # penalty, a share of the features' mean variance
    whitening: Annotated[float, Within(0, 1)]  # of the outputs: 0 leaves their directions' spread, 1 makes it equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters on every linear layer of the language model, merged into it at the end."""

    rank: Annotated[int, Within(1, 4096)]
    alpha: Annotated[float, Within(0.001)]
    dropout: Annotated[float, Within(0, 1)]
    quantize: Literal["nf4"] | None  # what those layers are held in meanwhile: 4-bit NormalFloat; null: bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """What `finetune` learns from in place of the desk's instruction data, such as LLaVA-1.5's mix of 665,000."""

    path: str  # JSON list of records with `conversations` and, where there is a picture, `image`
    images: str | None  # directory that `image` starts from; null: there are no pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Align(Training):
    """Section `align`: the projector learns to say pictures to the language model (LLaVA-1.5's pretraining)."""

    start: ClosedForm | None  # of the projector; null: a random one


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune(Training):
    """Section `finetune`: projector and language model learn to answer."""

    start: ClosedForm | None  # of the projector, from align's pairs and the answers here; null: as align left it
    projector_learning_rate: Annotated[float, Within(0, 1)] | None  # highest; null: as the language model's
    lora: Lora | None  # null: all of the language model's weights
    instructions: Instructions | None  # conversations from elsewhere; null: those of stage `tasks`
