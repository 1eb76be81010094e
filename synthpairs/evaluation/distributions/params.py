"""Section `distributions` of params.yaml."""

from dataclasses import dataclass
from typing import Annotated

from synthpairs.core.config import Seed, Within


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherClip:
    """A second CLIP, which measures the same pairs."""

    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """Section `distributions`: the sample of pairs and how it is measured."""

    seed: Seed  # of the draw and of the bootstrap
    count: Annotated[int, Within(2)]  # pairs of a set at most, drawn by hash
    image_size: Annotated[int, Within(16, 8192)]  # pixels of both sides at which images are measured, SSIM too
    other: OtherClip | None  # null: how far the selection depends on the CLIP is not measured
    resamples: Annotated[int, Within(100, 1_000_000)]  # of the bootstrap behind every interval
