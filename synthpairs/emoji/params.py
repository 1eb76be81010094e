"""Params of the emoji world: which concepts it has, and how its drawings are rendered."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class EmojiWorld:
    """The `world` section of params.yaml. Changing it requires retraining the desk models (see desk_models/)."""

    concepts: list[str]  # CLDR names of emoji


@dataclass(frozen=True, slots=True, kw_only=True)
class EmojiDrawings:
    """The `emoji` section of params.yaml."""

    image_size: Annotated[int, Within(16, 1024)]  # pixels of a rendered drawing
