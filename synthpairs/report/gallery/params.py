"""Settings of the gallery stage."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Section `gallery`: number of rows, and their images."""

    limit: Annotated[int, Within(3, 50_000)]  # most candidates, real pairs and rejected captions, each
    seed: Seed  # of the random rows
    image_size: Annotated[int, Within(16, 1024)]  # most pixels of an image's longer side; none is enlarged
    quality: Annotated[int, Within(1, 100)]  # of the lossy WebP
