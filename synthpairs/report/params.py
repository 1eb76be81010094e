"""Settings of the report stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Seed, Within

# Benchmarks that are also evaluated without the image: definitions.PICTURED.
KeyTask = Literal["desk_caption", "desk_pope", "desk_vqa", "desk_sqa"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Section `report`: bootstrap, key tasks and image grids of the report page."""

    seed: Seed  # of the random samples and of the bootstrap
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap of differences between arms
    key_tasks: list[KeyTask]  # the summary names their numbers and asks whether arms are better with the image
    pictures: Annotated[int, Within(1, 1000)]  # images of a grid
    columns: Annotated[int, Within(1, 20)]  # of a grid
    image_size: Annotated[int, Within(16, 1024)]  # pixels of an image in a grid
