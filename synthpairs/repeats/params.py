"""Settings of the repeats, and the names of what is asked beside the benchmarks."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.params import Within

LOSS = "text_loss"  # of each token of the held-out text, in nats
PREFERENCE = "preference"  # of each couple: 1 the synthetic picture, 0.5 a tie, 0 the real one
CONTROL = "control"  # of each couple: 1 when the picture that fits the caption wins, of two real ones
RUN = "run"  # stands for the main run's own seed; sorted, it follows the numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Section `repeats`: under which seeds the arms of pictures are drawn and trained again."""

    # Beside the run's own: of what an arm draws, of the projector, of both trainings.
    seeds: list[Annotated[int, Within(0)]]

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"params.yaml: repeats.seeds must be different numbers, at least one; got {self.seeds}")
