"""The sections `tasks` and `benchmark` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.params import Within


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


Task = Literal["desk_caption", "desk_pope", "desk_sqa", "desk_text", "desk_vqa"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which benchmarks the arms of each route are asked, and with those of pictures the untrained model."""

    pictures: list[Task]
    codes: list[Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Section `benchmark`: what a model is asked and how, and how sure the numbers are."""

    tasks: Asked
    batch: Annotated[int, Within(1, 4096)]  # questions answered together
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap
    seed: Annotated[int, Within(0)]  # of the bootstrap
