"""The `curves` section of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.params import Within

BASELINE, MIXED = "real-codes", "genpair"  # the arms: is the first's last value reached by the second, and when


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The short fine-tuning before captions are asked for; else as section `finetune_codes`."""

    steps: Annotated[int, Within(1, 100_000)]
    learning_rate: Annotated[float, Within(0, 1)]  # of the language model, highest


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """Section `curves`: which runs are measured, when, and on how much."""

    seeds: list[Annotated[int, Within(0)]]  # each of the pairs' order, of the resampler's weights and of both trainings
    points: list[Annotated[float, Within(0, 1)]]  # shares of the alignment's steps; rising, the last is 1
    items: Annotated[int, Within(2)]  # of the benchmark, the first so many
    reading: Reading

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"params.yaml: curves.seeds must be different numbers, got {self.seeds}")
        if not self.points or sorted(set(self.points)) != self.points or self.points[-1] != 1:
            raise ValueError(f"params.yaml: curves.points must rise and end with 1, got {self.points}")

    def steps(self, total: int) -> list[int]:
        """The points as steps of `total`, the first or a later one each; those that fall together once."""
        return sorted({max(1, round(point * total)) for point in self.points})
