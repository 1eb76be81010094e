"""SSIM of a picture with its own down- and up-scaled version: the share of its detail that a small CLIP input keeps.

The paper (section on selection) takes 1024 -> 336 -> 1024. It rewards smooth pictures, so its raw value is stored.
The numbers are scikit-image's, several times faster (docs/performance.md): OpenCV slides the windows over four fields
instead of five, and pictures are worked off in strips that fit a core's cache.
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
_KERNELS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos")}
_GAUSSIAN = cv2.getGaussianKernel(11, 1.5)


class _Window(NamedTuple):
    """What is averaged around each pixel, and how."""

    side: int  # pixels
    slide: Callable[[NDArray, NDArray], object]  # weighted sums of one float32 field into another; borders are no use
    weight: int  # of all pixels together
    unbias: float  # from the variance of these pixels to that of what they are a sample of
    dtype: DTypeLike  # of what is made of the sums


_WINDOWS = {
    # Sums of 49 whole numbers up to 2^16 are exact in float32, and float64 keeps the rest at scikit-image's 1e-13.
    "uniform7": _Window(
        7, lambda field, out: cv2.boxFilter(field, -1, (7, 7), dst=out, normalize=False), 49, 49 / 48, np.float64
    ),
    "gaussian11": _Window(
        11, lambda field, out: cv2.sepFilter2D(field, -1, _GAUSSIAN, _GAUSSIAN, dst=out), 1, 1.0, np.float32
    ),
}


def self_similarity(picture: Image.Image, spec: Ssim) -> float:
    """Mean SSIM in [-1, 1] of an RGB picture, 8 bits a channel, with itself after `spec.down` pixels and back.

    ValueError when a side is shorter than the window. Both Pillow and OpenCV release the interpreter lock: callers may
    use threads.
    """
    kernel = _KERNELS[spec.kernel]
    if spec.start is not None:
        picture = picture.resize((spec.start, spec.start), kernel)
    small = picture.resize((spec.down, spec.down), kernel)
    again = small.resize(picture.size, kernel)
    if spec.colour == "gray":
        picture, again = picture.convert("L"), again.convert("L")
    return mean_ssim(np.asarray(picture), np.asarray(again), spec.window)


def mean_ssim(one: NDArray[np.uint8], other: NDArray[np.uint8], window: str) -> float:
    """Mean SSIM in [-1, 1] of two pictures [height, width] or [height, width, channels], where the window fits whole.

    `window`: uniform7 (scikit-image's default: flat, sample covariance) or gaussian11 (Wang et al. 2004). ValueError
    when a side is shorter than it.
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
    """ValueError for a picture that is smaller than the window."""
    side = _WINDOWS[window].side
    if min(height, width) < side:
        raise ValueError(
            f"params.yaml: scores.ssim.window: {window} needs pictures of at least {side} x {side} pixels, "
            f"got {width} x {height}"
        )


def _strip(one: NDArray[np.uint8], other: NDArray[np.uint8], window: _Window) -> float:
    """Sum of SSIM over the places of a strip where the window fits whole.

    With A, B the means of the pictures' sum and difference, SSIM is (A^2 - B^2 + 2 C1) (var A - var B + 2 C2) over the
    same with + for both minus signs. A shift changes no variance, and float32 is finest around 0. All here is in sums,
    `weight` times the means.
    """
    weight = window.weight
    field = np.empty(one.shape, np.float32)  # one for all four, for the cache's sake
    sums = np.empty_like(field)
    margin = window.side // 2
    inner = sums[margin:-margin, margin:-margin]
    a, aa, b, bb, spare = np.empty((5, *inner.shape), window.dtype)
    for combine, shift, plain, squared in ((np.add, 256, a, aa), (np.subtract, 0, b, bb)):
        combine(one, other, out=field, dtype=np.float32)
        field -= shift
        window.slide(field, sums)
        plain[:] = inner
        field *= field
        window.slide(field, sums)
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
