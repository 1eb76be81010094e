"""The training pool is a function of its seed and shows training drawings only."""

from pathlib import Path

import pytest
import torch

from pretrain.pool import SIDE, Pool, compose, load_drawings

KINDS = {"single": 0.5, "pair": 0.25, "several": 0.25}

pytestmark = pytest.mark.skipif(not Path("data/art/drawings.parquet").exists(), reason="needs `dvc repro art`")


@pytest.fixture(scope="module")
def pool() -> Pool:
    return compose(3, 200, KINDS)


def test_only_training_drawings_are_shown(pool: Pool) -> None:
    split = load_drawings().set_index("drawing")["split"]
    assert {split[thing.drawing] for scene in pool.scenes for thing in scene.things} == {"train"}


def test_same_seed_same_pool(pool: Pool) -> None:
    again = compose(3, 200, KINDS)
    assert again.scenes == pool.scenes
    assert torch.equal(again.pictures, pool.pictures)


def test_pixels_are_scaled(pool: Pool) -> None:
    pixels = pool.pixels(torch.arange(20))
    assert pixels.shape == (20, 3, SIDE, SIDE)
    assert -1 <= pixels.min() < pixels.max() <= 1
