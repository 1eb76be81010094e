"""The `tasks` section of params.yaml: sizes of the benchmarks and of the instruction tuning data."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Sizes of the instruction tuning data."""

    pictures: Annotated[int, Within(1, 1_000_000)]  # conversations, each about an image of its own
    turns: Annotated[int, Within(1, 10)]  # questions per conversation, fewer where a scene allows no more
    text: Annotated[int, Within(0, 1_000)]  # questions without an image, limited by the number of words


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """The whole section."""

    seed: Seed
    image_size: Annotated[int, Within(16, 1024)]  # pixels of an image
    references: Annotated[int, Within(1, 20)]  # wordings in addition to the plain caption
    caption: Annotated[int, Within(4, 100_000)]  # items, as in the following
    pope: Annotated[int, Within(96, 100_000)]
    vqa: Annotated[int, Within(4, 100_000)]
    sqa: Annotated[int, Within(4, 100_000)]
    text: Annotated[int, Within(4, 1_000)]
    instructions: Mix

    def __post_init__(self) -> None:
        # pope: 3 splits, pairs of images, two questions each; vqa: 4 categories; text: 4 classes, each right once
        for key, multiple in (("pope", 12), ("vqa", 4), ("text", 4)):
            if getattr(self, key) % multiple:
                raise ValueError(f"params.yaml: tasks.{key} must be a multiple of {multiple}, got {getattr(self, key)}")
