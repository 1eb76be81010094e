"""The `pairs` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """The list of real pairs and how many of them a VLM sees."""

    seed: Annotated[int, Within(0)]  # of the scenes, and of the wordings that a VLM sees
    scenes: Annotated[int, Within(1)]  # on the list
    kinds: dict[str, Annotated[float, Within(0, 1)]]  # of scenes, relative to their sum
    used: Annotated[int, Within(1)]  # the first so many of the list
    tokenizer: str  # AmusedPipeline directory whose VQ model makes the tokens
