"""SSIM agrees with scikit-image, with all options and sizes."""

import itertools

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from synthpairs.scoring.check import reference_ssim
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import ROWS, mean_ssim, self_similarity
from tests.scoring.conftest import SSIM, photo

KERNELS = ("nearest", "bilinear", "bicubic", "lanczos")
OPTIONS = [*itertools.product(KERNELS, ("uniform7", "gaussian11"), ("gray", "rgb"))]
TOLERANCE = {"uniform7": 1e-11, "gaussian11": 1e-6}  # exact sums; float32


def reference(one, other, window):
    """scikit-image's mean SSIM of two arrays."""
    options = {"channel_axis": -1} if one.ndim == 3 else {}
    if window == "gaussian11":
        options |= {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(one, other, data_range=255, **options)


@pytest.mark.parametrize(("side", "start", "down"), [(1024, 768, 336), (64, None, 21)])
def test_agrees_with_scikit_image(side, start, down):
    picture = photo(side, seed=3)
    for kernel, window, colour in OPTIONS if side == 64 else OPTIONS[::5]:
        spec = Ssim(resize_to=start, downscale_to=down, kernel=kernel, window=window, colour=colour)
        expected = pytest.approx(reference_ssim(picture, spec), abs=TOLERANCE[window])
        assert self_similarity(picture, spec) == expected, (kernel, window, colour)


@pytest.mark.parametrize("window", TOLERANCE)
@pytest.mark.parametrize(
    ("height", "width"), [(65, 97), (97, 65), (1023, 40), (11, 11), (ROWS + 10, 12), (ROWS + 11, 2 * ROWS + 13)]
)
def test_any_size_agrees_and_strips_leave_no_seams(height, width, window):
    rng = np.random.default_rng(height)
    noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    shades = (noise // 8 + np.linspace(0, 200, width, dtype=np.uint8)[:, None]).astype(np.uint8)
    for one, other in [(noise, shades), (shades, shades), (noise[..., 0], shades[..., 1])]:
        assert mean_ssim(one, other, window) == pytest.approx(reference(one, other, window), abs=TOLERANCE[window])


@pytest.mark.parametrize("window", TOLERANCE)
def test_extreme_pictures_agree(window):
    black = np.zeros((64, 80), np.uint8)
    white, grey = black + 255, black + 128
    checks = (np.indices(black.shape).sum(axis=0) % 2 * 255).astype(np.uint8)
    halves = np.where(np.arange(80) < 40, black, white)
    nearly = white.copy()
    nearly[::9, ::7] = 254
    pictures = [black, white, grey, checks, halves, nearly]
    for one, other in itertools.product(pictures, pictures):
        expected = reference(one, other, window)
        assert mean_ssim(one, other, window) == pytest.approx(expected, abs=10 * TOLERANCE[window])
    for picture in pictures:
        assert mean_ssim(picture, picture, window) == 1


@pytest.mark.parametrize(("window", "side"), [("uniform7", 7), ("gaussian11", 11)])
def test_a_picture_smaller_than_the_window_is_an_error(window, side):
    spec = Ssim(**SSIM | {"window": window, "downscale_to": 4})
    assert -1 <= self_similarity(photo(side, seed=0), spec) <= 1
    message = rf"scores.ssim.window: {window} needs .* at least {side} x {side} pixels, got 40 x {side - 1}"
    with pytest.raises(ValueError, match=message):
        self_similarity(photo(side, seed=0).resize((40, side - 1)), spec)
