"""The `class_captions` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within
from synthpairs.models.language.params import Sampling, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNet:
    """ImageNet classes, as listed in timm."""

    subset: Literal["imagenet-1k", "imagenet-12k", "imagenet-21k-miil", "imagenet-21k-goog", "imagenet-22k"]
    classes: Annotated[int, Within(1)] | None  # drawn by hash, so that a larger number keeps the first ones; null: all
    people: bool  # include classes of people, many of which are slurs (Yang et al. 2020)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The chat prompt. `request` contains {name}, which is the class, and every slot; it may contain {words}."""

    system: str  # empty: none
    request: str
    slots: dict[str, list[str]]  # placeholders of the request, with values of which one is drawn for each caption
    # Few-shot examples with name, slots and caption, given as earlier turns: small models follow them better than rules.
    examples: list[dict[str, str]]
    words: Annotated[int, Within(1, 200)]  # requested length of a caption


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """Limits of a caption's length."""

    words_min: Annotated[int, Within(1)]
    words_max: Annotated[int, Within(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A language model in this process."""

    llm: str  # directory, or OWNER/NAME@REVISION of a hub model
    batch_size: Annotated[int, Within(1)]  # captions generated together
    repetition_penalty: Annotated[float, Within(1, 2)]  # on tokens already in the caption; 1: none


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCaptions:
    """The whole section."""

    seed: Seed
    banks: list[Literal["world", "imagenet"]]  # of classes; of equal names that of the first bank is kept
    imagenet: ImageNet
    per_class: Annotated[int, Within(1)]  # captions requested for each class
    prompt: Prompt
    replies: Replies
    # SynthCLIP's t: number of captions of a class above which some are dropped; null: all are kept.
    balance: Annotated[int, Within(1)] | None
    engine: Literal["local", "server"]
    local: Local
    server: Served
    sampling: Sampling  # a server gets temperature, top_p and max_new_tokens; OpenAI's protocol has no top_k
    max_failed_share: Annotated[float, Within(0, 1)]  # of the captions requested; the stage fails above it
