"""Settings of the gallery stage."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Section `gallery`: how much the page shows, and its pictures."""

    limit: Annotated[int, Within(3, 50_000)]  # candidates, and as many real pairs and rejected captions, at most
    seed: int  # of what is shown by chance
    side: Annotated[int, Within(16, 1024)]  # pixels of a picture's longer side at most; smaller ones stay as they are
    quality: Annotated[int, Within(1, 100)]  # of the lossy WebP
