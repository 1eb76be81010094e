"""Settings of the scores stage."""

from dataclasses import dataclass
from typing import Annotated, Literal

from synthpairs.core.config import Within


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssim:
    """SSIM of a picture with itself after down- and upscaling; the paper and its authors' code differ in these settings."""

    resize_to: Annotated[int | None, Within(8, 8192)]  # pixels to which the picture is first resized; null: its own
    downscale_to: Annotated[int, Within(1, 8192)]  # side in pixels of the downscaled version
    kernel: Literal["nearest", "bilinear", "bicubic", "lanczos"]  # Pillow's, antialiased in downscaling
    window: Literal["uniform7", "gaussian11"]  # scikit-image's default; that of Wang et al. 2004 (sigma 1.5)
    colour: Literal["gray", "rgb"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Section `scores`: the CLIP model and the SSIM."""

    clip: str  # an open_clip model name, or local-dir:PATH
    pretrained: str | None  # open_clip's tag of its weights; null for local-dir
    prefix: str  # put before every caption
    precision: Literal["fp32", "bf16", "fp16"]
    batch_size: Annotated[int, Within(1, 4096)]  # pictures or captions; see synthpairs.core.determinism
    ssim: Ssim
    max_failed_share: Annotated[float, Within(0, 1)]  # of the candidates, above which the stage fails
