"""Section `experiments` of params.yaml."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within
from synthpairs.evaluation.benchmarks.params import Task

Study = Literal["selection", "ablation", "size", "guidance", "style"]  # a study of `strategies`


def _check_different(key: str, values: Sequence[object], least: int = 0) -> None:
    if len(values) < least or len(set(values)) < len(values):
        raise ValueError(f"params.yaml: experiments.{key} must be different values, at least {least}, got {values}")


def _check_increasing(key: str, values: Sequence[float]) -> None:
    if sorted(set(values)) != values:
        raise ValueError(f"params.yaml: experiments.{key} must increase, got {values}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The short fine-tuning before captions are generated; otherwise as section `finetune_tokens`."""

    steps: Annotated[int, Within(1, 100_000)]
    learning_rate: Annotated[float, Within(0, 1)]  # of the language model, peak


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurves:
    """Captioning against the step of resampler pretraining, for arms and control sets of the Synth2 route."""

    seeds: list[Seed]  # of pair order, resampler weights and both trainings
    points: list[Annotated[float, Within(0, 1)]]  # shares of the pretraining's steps, increasing to 1
    controls: list[Literal["few-real", "regenerated", "synthetic"]]  # further training sets, at the last point alone
    items: Annotated[int, Within(2)]  # first items of the benchmark
    reading: Reading

    def __post_init__(self) -> None:
        _check_different("learning_curves.seeds", self.seeds, 1)
        _check_different("learning_curves.controls", self.controls)
        _check_increasing("learning_curves.points", self.points)
        if self.points[-1:] != [1]:
            raise ValueError(f"params.yaml: experiments.learning_curves.points must end with 1, got {self.points}")

    def steps(self, total: int) -> list[int]:
        """The points as distinct steps from 1 to `total`."""
        return sorted({max(1, round(point * total)) for point in self.points})


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategies:
    """Training sets compared over several seeds, and how each model is trained and tested."""

    seeds: list[Seed]  # of random selections and of training
    sizes: list[Annotated[int, Within(2)]]  # pairs of the sets of study `size`, increasing, below select.num_pairs
    per_concept: Annotated[int, Within(1)]  # pairs of a concept at most, in sets `balanced`
    guidance_scales: list[
        Annotated[float, Within(0, 100)]
    ]  # of the study `guidance`, in addition to images.guidance_scale
    tasks: list[Task]  # benchmarks with images after fine-tuning; empty: the zero-shot probe alone
    tuned: list[Study]  # studies whose sets are fine-tuned and tested on the benchmarks
    tuned_seeds: Annotated[int, Within(2)]  # number of seeds that are fine-tuned; the others end with the probe
    steps: Annotated[int, Within(1, 1_000_000)]  # of fine-tuning, equal for all sets
    items: Annotated[int, Within(4)]  # first items of each benchmark

    def __post_init__(self) -> None:
        _check_different("strategies.seeds", self.seeds, 2)
        _check_different("strategies.guidance_scales", self.guidance_scales)
        _check_different("strategies.tasks", self.tasks)
        _check_increasing("strategies.sizes", self.sizes)
        if self.tuned_seeds > len(self.seeds):
            raise ValueError(
                f"params.yaml: experiments.strategies.tuned_seeds must be at most the {len(self.seeds)} seeds, "
                f"got {self.tuned_seeds}"
            )
        if "desk_text" in self.tasks:
            raise ValueError("params.yaml: experiments.strategies.tasks must have images, which desk_text has not")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """The main run's image arms under other seeds."""

    seeds: list[Seed]  # other than the main run's: of an arm's selection, projector and trainings

    def __post_init__(self) -> None:
        _check_different("seeds.seeds", self.seeds, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSeeds:
    """Images of the main run's captions under several noise seeds."""

    num_seeds: Annotated[int, Within(2, 100)]  # noise seeds; the first is the main run's


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """Section `experiments`."""

    learning_curves: LearningCurves
    strategies: Strategies
    seeds: Seeds
    noise_seeds: NoiseSeeds
