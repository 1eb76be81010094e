"""The `studies` section of params.yaml, and which training sets each study compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from synthpairs.benchmarks.params import Task
from synthpairs.params import Within
from synthpairs.selection.params import Strategy

NAMING = "naming"  # is what the projector says of a picture nearest to the right name (synthpairs.studies.naming)
UNSEEN = "naming_unseen"  # the same of pictures in a style that no training has seen (synthpairs.studies.styles)
GAP = "style_gap"  # how much of the first is lost in the second, item by item
Way = Strategy | Literal["balanced", "real", "uncurated", "guidance"]
Question = Literal["selection", "ablation", "size", "guidance", "style"]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """`k` pairs, chosen in one way: by a strategy of `select` from all candidates; `balanced`: the best by score, so many of
    each concept; `real` pictures with their reference captions; pictures painted for captions that no filter has
    seen (`uncurated`); or painted anew for the captions of `random`, under another `guidance`.
    """

    way: Way
    k: int
    guidance: float | None = None

    def __str__(self) -> str:
        return f"{self.way}-{self.k if self.guidance is None else f'{self.guidance:g}'}"


@dataclass(frozen=True, slots=True)
class Study:
    """Sets that are compared with the first of them, on some tasks."""

    sets: list[TrainingSet]
    tasks: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """Section `studies`: how many trainings each set gets, and how each is trained and asked."""

    seeds: list[Annotated[int, Within(0)]]  # of what is drawn at random and of the order of training
    sizes: list[Annotated[int, Within(2)]]  # pairs, of the study `size`; rising, below select.k
    per_concept: Annotated[int, Within(1)]  # pairs of a concept at most, of the sets `balanced`
    guidances: list[Annotated[float, Within(0, 100)]]  # of the study `guidance`, beside images.guidance
    tasks: list[Task]  # benchmarks with pictures, asked after fine-tuning; empty: the projector alone is asked
    tuned: list[Question]  # studies whose sets are fine-tuned and asked the benchmarks
    tuned_seeds: Annotated[int, Within(2)]  # the first so many seeds; the others stop at the projector
    steps: Annotated[int, Within(1, 1_000_000)]  # of fine-tuning; the same for every set
    items: Annotated[int, Within(4)]  # of each benchmark, drawn at random

    def __post_init__(self) -> None:
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"params.yaml: studies.seeds must be two or more different numbers, got {self.seeds}")
        if self.tuned_seeds > len(self.seeds):
            raise ValueError(
                f"params.yaml: studies.tuned_seeds must be at most the {len(self.seeds)} seeds, got {self.tuned_seeds}"
            )
        if sorted(set(self.sizes)) != self.sizes:
            raise ValueError(f"params.yaml: studies.sizes must rise, got {self.sizes}")
        if len(set(self.guidances)) < len(self.guidances):
            raise ValueError(f"params.yaml: studies.guidances must be different numbers, got {self.guidances}")
        if "desk_text" in self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"params.yaml: studies.tasks must be different benchmarks with pictures, got {self.tasks}")


def planned(studies: Studies, k: int) -> dict[str, Study]:
    """The studies; `k` is the size of the selection. ValueError when a size is not below `k`."""
    if any(size >= k for size in studies.sizes):
        raise ValueError(f"params.yaml: studies.sizes must be below select.k ({k}), got {studies.sizes}")

    def of(*ways: Way) -> list[TrainingSet]:
        return [TrainingSet(way, k) for way in ways]

    smaller = [TrainingSet(way, size) for way in ("top", "real") for size in studies.sizes]
    sets: dict[Question, Sequence[TrainingSet]] = {
        "selection": of(*get_args(Strategy), "balanced"),
        "ablation": of("top", "random", "balanced", "uncurated", "real"),
        "size": [*of("top"), *smaller, *of("real")],
        "guidance": [*of("random"), *(TrainingSet("guidance", k, scale) for scale in studies.guidances)],
        "style": of("top", "random", "balanced", "real"),
    }
    assert set(sets) == set(get_args(Question))
    return {
        name: Study(
            list(chosen),
            [NAMING, *([UNSEEN, GAP] if name == "style" else studies.tasks if name in studies.tuned else [])],
        )
        for name, chosen in sets.items()
    }
