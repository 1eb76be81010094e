"""The `studies` section of params.yaml, and which training sets each study compares."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.benchmarks.params import Task
from synthpairs.params import Within

NAMING = "naming"  # is what the projector says of a picture nearest to the right name (synthpairs.studies.naming)
Way = Literal["top", "random", "rear", "clip-only", "ssim-only", "real", "uncurated"]
STRATEGIES: tuple[Way, ...] = ("top", "random", "rear", "clip-only", "ssim-only")  # of `select`


@dataclass(frozen=True, slots=True, order=True)
class TrainingSet:
    """`k` pairs, chosen in one way: by a strategy of `select` from all candidates; `real` drawings with the captions that
    people gave them; or pictures painted for captions that no filter has seen (`uncurated`).
    """

    way: Way
    k: int

    def __str__(self) -> str:
        return f"{self.way}-{self.k}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Studies:
    """Section `studies`: how many trainings each set gets, and how each is trained and asked."""

    seeds: list[Annotated[int, Within(0)]]  # of what is drawn at random and of the order of training
    sizes: list[Annotated[int, Within(2)]]  # pairs, of the study `size`; rising, below select.k
    steps: Annotated[int, Within(1, 1_000_000)]  # of fine-tuning; the same for every set
    tasks: list[Task]  # benchmarks with pictures; empty: the projector alone is asked, and there is no fine-tuning
    items: Annotated[int, Within(4)]  # of each benchmark, drawn at random

    def __post_init__(self) -> None:
        if len(self.seeds) < 2 or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"params.yaml: studies.seeds must be two or more different numbers, got {self.seeds}")
        if sorted(set(self.sizes)) != self.sizes:
            raise ValueError(f"params.yaml: studies.sizes must rise, got {self.sizes}")
        if "desk_text" in self.tasks or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"params.yaml: studies.tasks must be different benchmarks with pictures, got {self.tasks}")


def planned(studies: Studies, k: int) -> dict[str, list[TrainingSet]]:
    """The sets of each study, the one that the others are compared with first; `k` is the size of the selection.

    ValueError when a size is not below `k`.
    """
    if any(size >= k for size in studies.sizes):
        raise ValueError(f"params.yaml: studies.sizes must be below select.k ({k}), got {studies.sizes}")
    full = TrainingSet("top", k)
    ways: tuple[Way, Way] = ("top", "real")
    return {
        "selection": [TrainingSet(way, k) for way in STRATEGIES],
        "ablation": [full, TrainingSet("random", k), TrainingSet("uncurated", k), TrainingSet("real", k)],
        "size": [full, *(TrainingSet(way, size) for way in ways for size in [*studies.sizes, k] if (way, size) != ("top", k))],
    }  # fmt: skip
