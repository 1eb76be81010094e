"""The section `tasks` of params.yaml: sizes of the benchmarks and of the instruction data."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """What the instruction data holds."""

    pictures: Annotated[int, Within(1, 1_000_000)]  # conversations, each about a picture of its own
    turns: Annotated[int, Within(1, 10)]  # questions and answers in each, fewer where there is less to ask
    text: Annotated[int, Within(0, 1_000)]  # questions without a picture; there are only so many words to ask about


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """Section `tasks`: the size of every benchmark and of the instruction data."""

    seed: Annotated[int, Within(0)]
    side: Annotated[int, Within(16, 1024)]  # pixels of a picture
    references: Annotated[int, Within(1, 20)]  # wordings beside the plain caption
    caption: Annotated[int, Within(4, 100_000)]  # items, as below
    pope: Annotated[int, Within(96, 100_000)]
    vqa: Annotated[int, Within(4, 100_000)]
    sqa: Annotated[int, Within(4, 100_000)]
    text: Annotated[int, Within(4, 1_000)]
    instructions: Mix

    def __post_init__(self) -> None:
        # 3 splits of couples of pictures with two questions; 4 categories; 4 classes that take turns in being right
        for key, multiple in (("pope", 12), ("vqa", 4), ("text", 4)):
            if getattr(self, key) % multiple:
                raise ValueError(f"params.yaml: tasks.{key} must be a multiple of {multiple}, got {getattr(self, key)}")
