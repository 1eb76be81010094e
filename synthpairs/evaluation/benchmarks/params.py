"""The sections `benchmark` and `suite` of params.yaml: what a model is asked."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Section `suite`: what a model is asked beside the five benchmarks of `tasks`; all of it is empty at desk scale."""

    pictures: list[str]  # tasks of lmms-eval, which runs in an environment of its own
    text: list[str]  # tasks of lm-eval, without pictures
    shots: Annotated[int, Within(0, 64)]  # solved examples before each question of `text`
    limit: Annotated[int, Within(1)] | None  # first questions of each task; null: all of them
    include: str | None  # directory of further task definitions, of lmms-eval and lm-eval
