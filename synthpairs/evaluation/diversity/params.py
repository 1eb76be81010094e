"""Section `diversity` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Section `diversity`: caption sets, sentence encoder and clusterings."""

    encoder: str  # directory of a sentence encoder, or OWNER/NAME@REVISION on the Hugging Face hub
    batch_size: Annotated[int, Within(1, 4096)]  # captions per forward pass
    sets: list[str]  # see synthpairs.evaluation.diversity.sets
    max_captions: Annotated[int | None, Within(2)]  # drawn from each set; null: as many as the smallest set has
    clusters: list[Annotated[int, Within(2, 100_000)]]  # the values of k
    runs: Annotated[int, Within(2, 100)]  # of k-means per k, each with its own seed
    restarts: Annotated[int, Within(1, 100)]  # within a run, of which the one with the least inertia counts
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap
    seed: Seed  # of the draw, of k-means and of the bootstrap

    def __post_init__(self) -> None:
        where = "params.yaml: diversity"
        if not self.sets or len(set(self.sets)) != len(self.sets):
            raise ValueError(f"{where}.sets must be different names, at least one; got {self.sets}")
        if not self.clusters or len(set(self.clusters)) != len(self.clusters):
            raise ValueError(f"{where}.clusters must be different numbers, at least one; got {self.clusters}")
        if self.max_captions is not None and max(self.clusters) > self.max_captions:
            raise ValueError(
                f"{where}.clusters must be at most diversity.max_captions ({self.max_captions}), "
                f"got {max(self.clusters)}"
            )
