"""The `invent` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within
from synthpairs.models.language.params import Sampling, Served


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageNet:
    """Which of the class names that timm carries."""

    subset: Literal["imagenet-1k", "imagenet-12k", "imagenet-21k-miil", "imagenet-21k-goog", "imagenet-22k"]
    classes: Annotated[int, Within(1)] | None  # drawn by hash, so more leave the first as they are; null: all
    people: bool  # classes of people too, many of which are slurs (Yang et al. 2020)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What the model is told. `request` says {name}, the class, and every slot; it may say {words}."""

    system: str  # empty: none
    request: str
    slots: dict[str, list[str]]  # of the request, and what may stand in each: one of them is drawn for every caption
    # Name, slots and caption, shown as earlier turns; small models follow them, not rules.
    examples: list[dict[str, str]]
    words: Annotated[int, Within(1, 200)]  # asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """What a caption must keep to."""

    words_min: Annotated[int, Within(1)]
    words_max: Annotated[int, Within(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A model in this process."""

    llm: str  # directory, or OWNER/NAME@REVISION of a hub model
    batch: Annotated[int, Within(1)]  # captions written together
    repetition_penalty: Annotated[float, Within(1, 2)]  # on tokens that the caption has already used; 1: none


@dataclass(frozen=True, slots=True, kw_only=True)
class Invent:
    """The whole section."""

    seed: Annotated[int, Within(0)]
    banks: list[Literal["world", "imagenet"]]  # whose classes are written about; of equal names the first bank's stays
    imagenet: ImageNet
    per_class: Annotated[int, Within(1)]  # captions asked for
    prompt: Prompt
    replies: Replies
    # SynthCLIP's t: captions of a class from which on some go; null: all stay.
    balance: Annotated[int, Within(1)] | None
    engine: Literal["local", "server"]
    local: Local
    server: Served
    sampling: Sampling  # a server is told temperature, top_p and max_new_tokens; OpenAI's protocol knows no top_k
    max_failed_share: Annotated[float, Within(0, 1)]  # of the captions asked for, above which the stage fails
