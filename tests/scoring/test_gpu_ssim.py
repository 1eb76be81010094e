"""SSIM in torch: resizing is Pillow's bit for bit, SSIM that of the CPU path and of scikit-image, with all options."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from synthpairs.scoring.check import reference_ssim
from synthpairs.scoring.gpu_ssim import resized, self_similarities
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import self_similarity
from tests.scoring.conftest import photo
from tests.scoring.test_ssim import KERNELS, OPTIONS


def stacked(*pictures):
    return torch.from_numpy(np.stack([np.array(picture) for picture in pictures]))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(("side", "sizes"), [(64, [(21, 21), (64, 30), (131, 69)]), (300, [(97, 97), (336, 512)])])
def test_resizing_is_pillows(side, sizes, kernel):
    rng = np.random.default_rng(side)
    noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    hard = Image.fromarray((np.indices((side, side)).sum(axis=0) % 3 == 0).astype(np.uint8) * 255).convert("RGB")
    for picture, (width, height) in itertools.product([photo(side, seed=1), noise, hard], sizes):
        expected = np.asarray(picture.resize((width, height), Image.Resampling[kernel.upper()]))
        levels = stacked(picture).permute(0, 3, 1, 2).double()
        pixels = resized(levels, height, width, kernel)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(pixels, expected), (kernel, width, height)


@pytest.mark.parametrize(("side", "start", "down"), [(64, None, 21), (64, 48, 21), (301, 256, 97)])
def test_agrees_with_the_cpu_path(side, start, down):
    pictures = [photo(side, seed=seed) for seed in range(3)]
    for kernel, window, colour in OPTIONS:
        spec = Ssim(resize_to=start, downscale_to=down, kernel=kernel, window=window, colour=colour)
        expected = [self_similarity(picture, spec) for picture in pictures]
        values = self_similarities(stacked(*pictures), spec).tolist()
        assert values == pytest.approx(expected, abs=2e-6), (kernel, window, colour)


@pytest.mark.parametrize(("window", "colour"), [("uniform7", "gray"), ("gaussian11", "rgb")])
def test_agrees_with_scikit_image_at_the_papers_size(window, colour):
    picture = photo(1024, seed=5)
    spec = Ssim(resize_to=None, downscale_to=336, kernel="bilinear", window=window, colour=colour)
    assert self_similarities(stacked(picture), spec).item() == pytest.approx(reference_ssim(picture, spec), abs=1e-5)
