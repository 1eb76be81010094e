"""Section `encode_real_pairs` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPairs:
    """Section `encode_real_pairs`: the list of real pairs and how many of them a VLM is trained on.

    `scenes` and `kinds` are of emoji scenes alone.
    """

    source: Literal["emoji", "captions"]  # emoji scenes, or the kept captions that have an original picture
    seed: Seed  # of the scenes, and of the VLM's captions
    scenes: Annotated[int, Within(1)]  # on the list
    kinds: dict[str, Annotated[float, Within(0, 1)]]  # relative frequencies of the kinds of scenes
    used: Annotated[int, Within(1)]  # the first so many of the list; of captions, which are ordered by hash, at most
    tokenizer: str  # AmusedPipeline whose VQ model makes the tokens: directory, or OWNER/NAME@REVISION
