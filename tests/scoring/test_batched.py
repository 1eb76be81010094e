"""The torch path: resizing is Pillow's bit for bit, SSIM that of the CPU path and of scikit-image, for every option."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from synthpairs.scoring.batched import resized, self_similarities
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.ssim import self_similarity
from tests.scoring.conftest import photo
from tests.scoring.test_ssim import KERNELS, OPTIONS, reference


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
        found = resized(levels, height, width, kernel)[0].permute(1, 2, 0).numpy()
        assert np.array_equal(found, expected), (kernel, width, height)


@pytest.mark.parametrize(("side", "start", "down"), [(64, None, 21), (64, 48, 21), (301, 256, 97)])
def test_agrees_with_the_path_for_the_cpu(side, start, down):
    pictures = [photo(side, seed=seed) for seed in range(3)]
    for kernel, window, colour in OPTIONS:
        spec = Ssim(start=start, down=down, kernel=kernel, window=window, colour=colour)
        found = self_similarities(stacked(*pictures), spec).tolist()
        expected = [self_similarity(picture, spec) for picture in pictures]
        assert found == pytest.approx(expected, abs=2e-6), (kernel, window, colour)


@pytest.mark.parametrize(("window", "colour"), [("uniform7", "gray"), ("gaussian11", "rgb")])
def test_agrees_with_scikit_image_at_the_papers_size(window, colour):
    picture = photo(1024, seed=5)
    again = picture.resize((336, 336), Image.Resampling.BILINEAR).resize((1024, 1024), Image.Resampling.BILINEAR)
    mode = "L" if colour == "gray" else "RGB"
    expected = reference(np.asarray(picture.convert(mode)), np.asarray(again.convert(mode)), window)
    spec = Ssim(start=None, down=336, kernel="bilinear", window=window, colour=colour)
    assert self_similarities(stacked(picture), spec).item() == pytest.approx(expected, abs=1e-5)
