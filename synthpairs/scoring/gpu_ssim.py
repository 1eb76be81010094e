"""SSIM of synthpairs.scoring.ssim for batches of pictures on a GPU, in torch.

Resizing equals Pillow's bit for bit: products with its integer weights, exact in float64, rounded to 8 bits after each
direction. (torch's antialiased `interpolate` rounds once: a tenth of its levels is off by one.) So SSIM differs from that of
the CPU by rounding alone, below 1e-6 (tests/scoring/test_gpu_ssim.py).
"""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import C1, C2, check_size

BITS = 22  # of Pillow's fixed-point weights
LUMA = (19595, 38470, 7471)  # of 65536, Pillow's


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


def _cubic(x: float) -> float:
    x, a = abs(x), -0.5
    return ((a + 2) * x - (a + 3)) * x * x + 1 if x < 1 else (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


_FILTERS: dict[str, tuple[float, Callable[[float], float]]] = {  # half width, in pixels of the smaller picture
    "bilinear": (1.0, lambda x: max(0.0, 1 - abs(x))),
    "bicubic": (2.0, _cubic),
    "lanczos": (3.0, lambda x: _sinc(x) * _sinc(x / 3) if -3 <= x < 3 else 0.0),
}


@cache
def _weights(before: int, after: int, kernel: str) -> Tensor:
    """Pillow's weights [after, before] of one direction, integer multiples of 2^-BITS in float64."""
    matrix = torch.zeros(after, before, dtype=torch.float64)
    scale = before / after
    if kernel == "nearest":
        source = scale * 0.5
        for row in range(after):
            matrix[row, min(int(source), before - 1)] = 2**BITS
            source += scale  # summed as in Pillow, for the same rounding errors
        return matrix
    half, function = _FILTERS[kernel]
    widened = max(scale, 1.0)
    support = half * widened
    for row in range(after):
        centre = (row + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(before, int(centre + support + 0.5))
        values = [function((pixel - centre + 0.5) / widened) for pixel in range(first, last)]
        total = sum(values)
        fixed = [math.copysign(math.floor(abs(value / total) * 2**BITS + 0.5), value) for value in values]
        matrix[row, first:last] = torch.tensor(fixed, dtype=torch.float64)
    return matrix


def resized(pictures: Tensor, height: int, width: int, kernel: str) -> Tensor:
    """Pictures [n, channels, rows, columns] of integer levels 0 to 255 in float64, resized as by Pillow."""
    rows, columns = pictures.shape[-2:]
    if columns != width:
        pictures = _rounded(pictures @ _weights(columns, width, kernel).to(pictures.device).T)
    if rows != height:
        pictures = _rounded(_weights(rows, height, kernel).to(pictures.device) @ pictures)
    return pictures


def _rounded(sums: Tensor) -> Tensor:
    return ((sums + 2 ** (BITS - 1)) / 2**BITS).floor().clamp(0, 255)


def self_similarities(pictures: Tensor, spec: Ssim) -> Tensor:
    """Mean SSIM, float64 [n], of pictures uint8 [n, height, width, 3] with themselves after down- and upscaling.

    ValueError when a side is shorter than the window.
    """
    levels = pictures.permute(0, 3, 1, 2).double()
    if spec.resize_to is not None:
        levels = resized(levels, spec.resize_to, spec.resize_to, spec.kernel)
    height, width = levels.shape[-2:]
    check_size(width, height, spec.window)
    rescaled = resized(resized(levels, spec.downscale_to, spec.downscale_to, spec.kernel), height, width, spec.kernel)
    if spec.colour == "gray":
        levels, rescaled = _gray(levels), _gray(rescaled)
    return _mean_ssim(levels.float(), rescaled.float(), spec.window)


def _gray(levels: Tensor) -> Tensor:
    red, green, blue = levels.to(torch.int32).unbind(1)
    return ((red * LUMA[0] + green * LUMA[1] + blue * LUMA[2] + 0x8000) >> 16)[:, None]


@cache
def _taps(window: str) -> tuple[float, ...]:
    if window == "uniform7":
        return (1.0,) * 7
    bell = [math.exp(-0.5 * (offset / 1.5) ** 2) for offset in range(-5, 6)]
    return tuple(value / sum(bell) for value in bell)


def _mean_ssim(one: Tensor, other: Tensor, window: str) -> Tensor:
    """The formula of synthpairs.scoring.ssim: window sums in float32, the rest in float64."""
    taps = _taps(window)
    weight, unbias = (49, 49 / 48) if window == "uniform7" else (1, 1.0)
    total, difference = one + other - 256, one - other
    a, aa = _window_sums(total, taps).double(), _window_sums(total * total, taps).double()
    b, bb = _window_sums(difference, taps).double(), _window_sums(difference * difference, taps).double()
    variance_a = aa * weight - a * a + 2 * C2 * weight**2 / unbias
    variance_b = bb * weight - b * b
    mean_a = (a + 256 * weight) ** 2 + 2 * C1 * weight**2
    field = (mean_a - b * b) * (variance_a - variance_b) / ((mean_a + b * b) * (variance_a + variance_b))
    return field.mean(dim=(1, 2, 3))


def _window_sums(field: Tensor, taps: tuple[float, ...]) -> Tensor:
    """Weighted sums where the window fits whole; by additions, because convolutions may use TF32 on a GPU."""
    for axis in (-1, -2):
        size = field.shape[axis] - len(taps) + 1
        total = torch.zeros_like(field.narrow(axis, 0, size))
        for start, tap in enumerate(taps):
            total.add_(field.narrow(axis, start, size), alpha=tap)
        field = total
    return field
