"""The sections `tasks` and `benchmark` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.params import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """How many rows of each format the instruction data holds."""

    caption: Annotated[int, Within(0, 1_000_000)]
    pope: Annotated[int, Within(0, 1_000_000)]
    vqa: Annotated[int, Within(0, 1_000_000)]
    sqa: Annotated[int, Within(0, 1_000_000)]
    text: Annotated[int, Within(0, 1_000)]  # without pictures; there are only so many words to ask about


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Section `benchmark`: how a model is asked, and how sure the numbers are."""

    batch: Annotated[int, Within(1, 4096)]  # questions answered together
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap
    seed: Annotated[int, Within(0)]  # of the bootstrap
