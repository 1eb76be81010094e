"""Sections `vlm`, `resampler` and those of the trainings in params.yaml: a VLM's parts and how it is trained."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Vlm:
    """Section `vlm`. `vision_tower`, `llm` and `adapter` are each a directory or OWNER/NAME@REVISION of a hub model."""

    vision_tower: str  # vision tower: a CLIPVisionModel, or a CLIPModel that holds one, and its image processor
    llm: str  # a causal language model and its tokenizer
    num_hidden_layers: Annotated[int, Within(1, 1000)] | None  # of the language model, the first ones; null: all
    adapter: str | None  # a PEFT adapter that is merged into the language model first; null: none
    vision_feature_layer: int  # which hidden state of the vision tower is projected; -2 is the last layer's input
    vision_feature_select: Literal["default", "full"]  # patches only, or the class token before them
    image_aspect_ratio: Literal["crop", "pad"]  # of images that are not square: the middle, or all on their mean colour
    image_token: str | None  # special token of llm that becomes <image>; null: a new row of its embedding
    chat_template: Literal["chatml", "vicuna"]
    seed: Seed  # of the projector's random initialisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampler:
    """Section `resampler`: the Perceiver Resampler from VQ tokens to tokens of the language model."""

    tokenizer: str  # AmusedPipeline whose VQ tokenizer is the vision tower: directory, or OWNER/NAME@REVISION
    num_latents: Annotated[int, Within(1, 1024)]  # language model tokens per picture
    hidden_size: Annotated[int, Within(8, 8192)]
    num_heads: Annotated[int, Within(1, 128)]
    num_layers: Annotated[int, Within(1, 48)]  # blocks
    # Rows of the table of embeddings that its tokens are mixtures of. Null: none, it is pretrained through the language model.
    words: Annotated[int, Within(1, 1_000_000)] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Params of every training; all of section `pretrain_tokens`."""

    seed: Seed  # of the order of examples, of adapters, of dropout
    epochs: Annotated[float, Within(0.001, 1000)]
    max_steps: Annotated[int, Within(0)] | None  # upper limit of the steps; 0: none at all; null: no limit
    batch_size: Annotated[int, Within(1, 65536)]  # examples per step
    micro_batch_size: Annotated[int, Within(1, 65536)]  # examples that the device holds at a time
    learning_rate: Annotated[float, Within(0, 1)]  # peak, followed by a cosine to 0
    warmup_ratio: Annotated[float, Within(0, 1)]  # share of the steps in which the rate rises from 0
    weight_decay: Annotated[float, Within(0, 1)]
    max_grad_norm: (
        Annotated[float, Within(0)] | None
    )  # of all gradients together, to which longer ones are scaled; null: none are
    max_length: Annotated[int, Within(2, 65536)]  # of picture and text; longer examples are cut
    max_skipped_ratio: Annotated[float, Within(0, 1)]  # share of the examples; with more skipped the stage fails
    save_steps: Annotated[int, Within(1)]

    def __post_init__(self) -> None:
        if self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"batch_size must be a multiple of micro_batch_size, got {self.batch_size} and {self.micro_batch_size}"
            )

    def steps(self, examples: int) -> int:
        """Optimiser steps over this many examples; 0 without any."""
        if not examples:
            return 0
        steps = max(1, round(self.epochs * examples / self.batch_size))
        return steps if self.max_steps is None else min(steps, self.max_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class RidgeInit:
    """Projector initialisation by ridge regression (`synthpairs.vlm.projector_init`)."""

    ridge: Annotated[float, Within(1e-6, 1e6)]  # penalty, as a share of the features' mean variance
    whitening: Annotated[float, Within(0, 1)]  # of the outputs: 0 keeps each direction's variance, 1 makes them equal


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters on every linear layer of the trained blocks of the language model, merged into it at the end."""

    rank: Annotated[int, Within(1, 4096)]
    alpha: Annotated[float, Within(0.001)]
    dropout: Annotated[float, Within(0, 1)]
    quantize: Literal["nf4"] | None  # of those layers during training: 4-bit NormalFloat; null: bfloat16


@dataclass(frozen=True, slots=True, kw_only=True)
class Instructions:
    """Instruction data in LLaVA's JSON that replace those of stage `tasks`, such as LLaVA-1.5's mix of 665,000."""

    path: str  # JSON list of records with `conversations` or `messages` and, where there is a picture, `image`
    images: str | None  # directory that `image` is relative to; null: no record has a picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrain(Training):
    """Section `pretrain`: the projector alone is trained on captions (LLaVA-1.5's pretraining)."""

    projector_init: RidgeInit | None  # of the projector; null: random


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune(Training):
    """Sections `finetune` and `finetune_tokens`: projector and language model are trained on instructions."""

    projector_init: RidgeInit | None  # from pretrain's pairs and the answers here; null: the projector of pretrain
    projector_learning_rate: Annotated[float, Within(0, 1)] | None  # peak; null: learning_rate; 0: it stays
    trainable_layers: (
        Annotated[int, Within(0, 1000)] | None
    )  # the last ones; 0: none; null: all, embedding and head too
    lora: Lora | None  # in place of the layers' own weights; null: none
    instructions: Instructions | None  # null: those of stage `tasks`
