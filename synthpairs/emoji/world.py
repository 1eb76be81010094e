"""What the desk world is about: the concepts that its models were trained on and its captions and benchmarks speak of."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The `world` section of params.yaml; changing it asks for new desk models (see desk_models/)."""

    concepts: list[str]  # CLDR names of emoji


@dataclass(frozen=True, slots=True, kw_only=True)
class Art:
    """The `art` section of params.yaml."""

    side: Annotated[int, Within(16, 1024)]  # pixels of a rendered drawing
    of: Literal["everything", "world"]  # all concepts that the artwork draws, or the world's alone
