"""Settings of the report stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within

# Benchmarks that are also asked without the picture: definitions.PICTURED.
KeyTask = Literal["desk_caption", "desk_pope", "desk_vqa", "desk_sqa"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Section `report`: what the page asks of the numbers, and how many pictures it shows."""

    seed: Annotated[int, Within(0)]  # of the random samples and of the bootstrap
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind differences between arms
    # By which the summary judges, if they were asked: every arm must beat its blind self there.
    key_tasks: list[KeyTask]
    pictures: Annotated[int, Within(1, 1000)]  # in each grid
    columns: Annotated[int, Within(1, 20)]  # of a grid
    side: Annotated[int, Within(16, 1024)]  # pixels of a picture in a grid
