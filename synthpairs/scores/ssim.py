"""SSIM of a picture with its own down- and up-scaled version: the share of its detail that a small CLIP input keeps.

The paper (section on selection) takes 1024 -> 336 -> 1024. It rewards smooth pictures, so its raw value is stored.
scikit-image does the arithmetic: own versions in NumPy and torch were at most 1.7 times as fast on a CPU for the
uniform window, and slower for the Gaussian one. It releases the interpreter lock, so callers may use threads.
"""

import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity

from synthpairs.scores.params import Ssim

_KERNELS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos")}
_WINDOWS: dict[str, dict] = {
    "uniform7": {"win_size": 7},
    "gaussian11": {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False},
}


def self_similarity(picture: Image.Image, spec: Ssim) -> float:
    """Mean SSIM in [-1, 1] of an RGB picture, 8 bits a channel, with itself after `spec.down` pixels and back."""
    kernel = _KERNELS[spec.kernel]
    if spec.start is not None:
        picture = picture.resize((spec.start, spec.start), kernel)
    small = picture.resize((spec.down, spec.down), kernel)
    again = small.resize(picture.size, kernel)
    if spec.colour == "gray":
        picture, again = picture.convert("L"), again.convert("L")
    channels = {"channel_axis": 2} if spec.colour == "rgb" else {}
    return float(
        structural_similarity(
            np.asarray(picture), np.asarray(again), data_range=255, **channels, **_WINDOWS[spec.window]
        )
    )
