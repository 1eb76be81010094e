"""SSIM of a picture with itself after down- and upscaling: how much of its detail a small CLIP input keeps.

The paper (section on selection) scales 1024 -> 336 -> 1024. The score favours smooth pictures, so its raw value is stored.
It equals scikit-image's, several times faster (docs/performance.md): OpenCV computes window sums of four fields instead of
five, in strips that fit a core's cache.
"""

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray
from PIL import Image

from synthpairs.scoring.params import Ssim

ROWS = 32  # of a strip, without its margins
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # Wang et al. 2004
_GAUSSIAN = cv2.getGaussianKernel(11, 1.5)


class _Window(NamedTuple):
    """A window and its weighted sums."""

    side: int  # pixels
    sums: Callable[[NDArray, NDArray], object]  # of one float32 field into another; invalid at the borders
    weight: int  # sum of the weights
    unbias: float  # factor from the variance to the sample variance
    dtype: DTypeLike  # in which the sums are combined


_WINDOWS = {
    # Sums of 49 integers up to 2^16 are exact in float32; in float64 the rest agrees with scikit-image to 1e-13.
    "uniform7": _Window(
        7, lambda field, out: cv2.boxFilter(field, -1, (7, 7), dst=out, normalize=False), 49, 49 / 48, np.float64
    ),
    "gaussian11": _Window(
        11, lambda field, out: cv2.sepFilter2D(field, -1, _GAUSSIAN, _GAUSSIAN, dst=out), 1, 1.0, np.float32
    ),
}


def self_similarity(picture: Image.Image, spec: Ssim) -> float:
    """Mean SSIM in [-1, 1] of an RGB picture with itself after down- and upscaling.

    ValueError when a side is shorter than the window. Pillow and OpenCV release the interpreter lock: callers may use threads.
    """
    kernel = Image.Resampling[spec.kernel.upper()]
    if spec.resize_to is not None:
        picture = picture.resize((spec.resize_to, spec.resize_to), kernel)
    rescaled = picture.resize((spec.downscale_to, spec.downscale_to), kernel).resize(picture.size, kernel)
    if spec.colour == "gray":
        picture, rescaled = picture.convert("L"), rescaled.convert("L")
    return mean_ssim(np.asarray(picture), np.asarray(rescaled), spec.window)


def mean_ssim(one: NDArray[np.uint8], other: NDArray[np.uint8], window: str) -> float:
    """Mean SSIM in [-1, 1] of two pictures [height, width] or [height, width, channels], over pixels with a whole window.

    `window`: uniform7 (scikit-image's default: flat, sample covariance) or gaussian11 (Wang et al. 2004). ValueError when a
    side is shorter than the window.
    """
    shape = _WINDOWS[window]
    height, width = one.shape[:2]
    check_size(width, height, window)
    halo = shape.side - 1
    total = 0.0
    for top in range(0, height - halo, ROWS):
        rows = slice(top, top + ROWS + halo)
        total += _strip(one[rows], other[rows], shape)
    return total / one[halo:, halo:].size


def check_size(width: int, height: int, window: str) -> None:
    """ValueError for a picture smaller than the window."""
    side = _WINDOWS[window].side
    if min(height, width) < side:
        raise ValueError(
            f"params.yaml: scores.ssim.window: {window} needs pictures of at least {side} x {side} pixels, "
            f"got {width} x {height}"
        )


def _strip(one: NDArray[np.uint8], other: NDArray[np.uint8], window: _Window) -> float:
    """Sum of SSIM over the pixels of a strip with a whole window.

    With A, B the means of the pictures' sum and difference, SSIM is (A^2 - B^2 + 2 C1) (var A - var B + 2 C2) over the
    same with + for both minus signs. The sum is shifted, which changes no variance, because float32 is finest around 0. All
    values here are sums, `weight` times the means. Arrays are reused, to stay in the cache.
    """
    weight = window.weight
    field = np.empty(one.shape, np.float32)
    sums = np.empty_like(field)
    margin = window.side // 2
    inner = sums[margin:-margin, margin:-margin]
    a, aa, b, bb, spare = np.empty((5, *inner.shape), window.dtype)
    for combine, shift, plain, squared in ((np.add, 256, a, aa), (np.subtract, 0, b, bb)):
        combine(one, other, out=field, dtype=np.float32)
        field -= shift
        window.sums(field, sums)
        plain[:] = inner
        field *= field
        window.sums(field, sums)
        np.multiply(inner, weight, out=squared, dtype=window.dtype)
    aa -= np.multiply(a, a, out=spare)
    aa += 2 * C2 * weight**2 / window.unbias
    b *= b
    bb -= b
    a += 256 * weight
    a *= a
    a += 2 * C1 * weight**2
    np.subtract(a, b, out=spare)
    a += b
    np.subtract(aa, bb, out=b)
    aa += bb
    spare *= b
    a *= aa
    spare /= a
    return float(spare.sum(dtype=np.float64))
