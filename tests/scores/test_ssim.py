"""SSIM with the small version of a picture: every option, against scikit-image and against the formula."""

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import uniform_filter
from skimage.metrics import structural_similarity

from synthpairs.scores.params import Ssim
from synthpairs.scores.ssim import self_similarity
from tests.scores.conftest import SSIM, photo

OPTIONS = list(
    itertools.product(("nearest", "bilinear", "bicubic", "lanczos"), ("uniform7", "gaussian11"), ("gray", "rgb"))
)


@pytest.mark.parametrize(("side", "start", "down"), [(1024, 768, 336), (64, None, 21)])
def test_agrees_with_scikit_image(side: int, start: int | None, down: int) -> None:
    picture = photo(side, seed=3)
    for kernel, window, colour in OPTIONS if side == 64 else OPTIONS[::5]:
        filter_ = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}[kernel]
        first = picture.resize((start, start), filter_) if start else picture
        again = first.resize((down, down), filter_).resize(first.size, filter_)
        if colour == "gray":
            first, again = first.convert("L"), again.convert("L")
        options = {"channel_axis": -1} if colour == "rgb" else {}
        if window == "gaussian11":
            options |= {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        expected = structural_similarity(np.asarray(first), np.asarray(again), **options)
        spec = Ssim(start=start, down=down, kernel=kernel, window=window, colour=colour)
        assert self_similarity(picture, spec) == pytest.approx(expected, abs=1e-4), (kernel, window, colour)


def test_agrees_with_the_formula() -> None:
    picture = photo(64, seed=5)
    one = np.asarray(picture.convert("L")).astype(float)
    other = np.asarray(picture.resize((21, 21), 2).resize((64, 64), 2).convert("L")).astype(float)
    mean_one, mean_other = uniform_filter(one, 7), uniform_filter(other, 7)
    unbias = 49 / 48
    var_one = unbias * (uniform_filter(one**2, 7) - mean_one**2)
    var_other = unbias * (uniform_filter(other**2, 7) - mean_other**2)
    both = unbias * (uniform_filter(one * other, 7) - mean_one * mean_other)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    field = (2 * mean_one * mean_other + c1) * (2 * both + c2)
    field /= (mean_one**2 + mean_other**2 + c1) * (var_one + var_other + c2)
    assert self_similarity(picture, Ssim(**SSIM)) == pytest.approx(field[3:-3, 3:-3].mean(), abs=1e-6)


def test_smooth_pictures_keep_all_and_noise_loses_most() -> None:
    flat = Image.new("RGB", (64, 64), (90, 120, 30))
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert self_similarity(flat, Ssim(**SSIM)) == pytest.approx(1)
    assert self_similarity(noise, Ssim(**SSIM)) < 0.3
