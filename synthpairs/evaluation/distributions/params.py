"""Settings of the stage `distributions`."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherClip:
    """A second CLIP, asked about the same pairs."""

    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """Section `distributions`: how many pairs are looked at, how pictures are measured, who else is asked."""

    seed: Annotated[int, Within(0)]  # of the draw and of the bootstrap
    count: Annotated[int, Within(2)]  # pairs of a set at most, drawn by hash
    side: Annotated[int, Within(16, 8192)]  # pixels, of both sides, that a picture is brought to before it is measured
    other: OtherClip | None  # null: it is not measured how far the selection depends on which CLIP is asked
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind every interval
