"""Settings of the repaints."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.params import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaints:
    """Section `repaints`: how often every caption is painted; the main run's pictures are the first painting."""

    paintings: Annotated[int, Within(2, 100)]
