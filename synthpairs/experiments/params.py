"""Section `experiments` of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within
from synthpairs.evaluation.benchmarks.params import Task

Seed = Annotated[int, Within(0)]
Question = Literal["selection", "ablation", "size", "guidance", "style"]  # the studies of `strategies`


def _check_different(key: str, values: Sequence[object], least: int = 0) -> None:
    if len(values) < least or len(set(values)) < len(values):
        raise ValueError(f"params.yaml: experiments.{key} must be different values, at least {least}, got {values}")


def _check_rising(key: str, values: Sequence[float]) -> None:
    if sorted(set(values)) != values:
        raise ValueError(f"params.yaml: experiments.{key} must rise, got {values}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The short fine-tuning before captions are asked for; else as section `finetune_codes`."""

    steps: Annotated[int, Within(1, 100_000)]
    learning_rate: Annotated[float, Within(0, 1)]  # of the language model, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """Captioning against the step of the alignment, for two arms of the Synth2 route."""

    seeds: list[Seed]  # each of the pairs' order, of the resampler's weights and of both trainings
    points: list[Annotated[float, Within(0, 1)]]  # shares of the alignment's steps; rising, the last is 1
    items: Annotated[int, Within(2)]  # of the benchmark, the first so many
    reading: Reading

    def __post_init__(self) -> None:
        _check_different("learning_curves.seeds", self.seeds, 1)
        _check_rising("learning_curves.points", self.points)
        if self.points[-1:] != [1]:
            raise ValueError(f"params.yaml: experiments.learning_curves.points must end with 1, got {self.points}")

    def steps(self, total: int) -> list[int]:
        """The points as steps of `total`, the first or a later one each; those that fall together once."""
        return sorted({max(1, round(point * total)) for point in self.points})


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategies:
    """Ways to come by a training set: how many trainings each set gets, and how each is trained and asked."""

    seeds: list[Seed]  # of what is drawn at random and of the order of training
    sizes: list[Annotated[int, Within(2)]]  # pairs, of the study `size`; rising, below select.k
    per_concept: Annotated[int, Within(1)]  # pairs of a concept at most, of the sets `balanced`
    guidances: list[Annotated[float, Within(0, 100)]]  # of the study `guidance`, beside images.guidance
    tasks: list[Task]  # benchmarks with pictures, asked after fine-tuning; empty: the projector alone is asked
    tuned: list[Question]  # studies whose sets are fine-tuned and asked the benchmarks
    tuned_seeds: Annotated[int, Within(2)]  # the first so many seeds; the others stop at the projector
    steps: Annotated[int, Within(1, 1_000_000)]  # of fine-tuning; the same for every set
    items: Annotated[int, Within(4)]  # of each benchmark, drawn at random

    def __post_init__(self) -> None:
        _check_different("strategies.seeds", self.seeds, 2)
        _check_different("strategies.guidances", self.guidances)
        _check_different("strategies.tasks", self.tasks)
        _check_rising("strategies.sizes", self.sizes)
        if self.tuned_seeds > len(self.seeds):
            raise ValueError(
                f"params.yaml: experiments.strategies.tuned_seeds must be at most the {len(self.seeds)} seeds, "
                f"got {self.tuned_seeds}"
            )
        if "desk_text" in self.tasks:
            raise ValueError("params.yaml: experiments.strategies.tasks must have pictures, which desk_text has not")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The main run's arms of pictures under other seeds."""

    seeds: list[Seed]  # beside the run's own: of what an arm draws, of the projector, of both trainings

    def __post_init__(self) -> None:
        _check_different("seeds.seeds", self.seeds, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSeeds:
    """The main run's captions, each painted several times; the main run's pictures are the first painting."""

    paintings: Annotated[int, Within(2, 100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """Section `experiments`."""

    learning_curves: LearningCurves
    strategies: Strategies
    seeds: Seeds
    noise_seeds: NoiseSeeds
