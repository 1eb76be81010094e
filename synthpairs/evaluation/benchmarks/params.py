"""Sections `benchmark` and `external_benchmarks` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within

Task = Literal["desk_caption", "desk_pope", "desk_sqa", "desk_text", "desk_vqa"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTasks:
    """Benchmarks of the arms of each route."""

    pictures: list[Task]  # of the untrained model too
    tokens: list[Task]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """Section `benchmark`: our own benchmarks, and the bootstrap of all benchmarks' intervals."""

    tasks: RouteTasks
    batch_size: Annotated[int, Within(1, 4096)]  # questions per batch
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap
    seed: Seed  # of the bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalBenchmarks:
    """Section `external_benchmarks`: external benchmarks; none at desk scale."""

    pictures: list[str]  # tasks of lmms-eval, which runs in an environment of its own; for arms of pictures
    tokens: list[str]  # tasks of lm-eval with images, or those of `captioning/`; for arms of VQ tokens
    text: list[str]  # tasks of lm-eval without images; for all
    shots: Annotated[int, Within(0, 64)]  # few-shot examples of the tasks of `text`
    limit: Annotated[int, Within(1)] | None  # first questions of each task; null: all of them
    include: str | None  # directory of further task definitions, of lmms-eval and lm-eval
