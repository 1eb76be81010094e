"""Settings of the scores stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssim:
    """How a picture is compared with its down- and up-scaled self; the paper and its authors' code differ about it."""

    start: Annotated[int | None, Within(8, 8192)]  # pixels that the picture is resized to first; null: as it is
    down: Annotated[int, Within(1, 8192)]  # pixels of the small version
    kernel: Literal["nearest", "bilinear", "bicubic", "lanczos"]  # Pillow's, antialiased on the way down
    window: Literal["uniform7", "gaussian11"]  # scikit-image's default; that of Wang et al. 2004 (sigma 1.5)
    colour: Literal["gray", "rgb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Section `scores`: which CLIP reads the pairs, and how SSIM is taken."""

    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    prefix: str  # put before every caption
    precision: Literal["fp32", "bf16", "fp16"]
    batch: Annotated[int, Within(1, 4096)]  # pictures or captions at once; see synthpairs.core.determinism
    ssim: Ssim
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
