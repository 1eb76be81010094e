"""Measures of pictures of which they are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from synthpairs.distributions.pictures import NAMES, gray_entropy, picture_measures


def test_a_plain_picture_has_nothing() -> None:
    assert picture_measures(Image.new("RGB", (64, 64), "teal"), 32) == dict(zip(NAMES, (0, 0, 1), strict=True))


@pytest.mark.parametrize(("levels", "bits"), [(1, 0), (2, 1), (16, 4), (256, 8)])
def test_entropy_of_evenly_frequent_levels_is_their_logarithm(levels: int, bits: float) -> None:
    assert gray_entropy((np.arange(256) % levels).astype(np.uint8)) == bits


def test_a_straight_edge_is_as_long_as_the_picture() -> None:
    picture = Image.new("RGB", (64, 64), "black")
    picture.paste("white", (32, 0, 64, 64))
    assert picture_measures(picture, 64)["edge_density"] == pytest.approx(1 / 64, abs=1 / 64)


def test_more_things_are_more_regions_and_edges() -> None:
    counted = []
    for count in (1, 4, 9):
        picture = Image.new("RGB", (96, 96), "white")
        for place in range(count):
            left, top = place % 3 * 32 + 4, place // 3 * 32 + 4
            ImageDraw.Draw(picture).ellipse((left, top, left + 20, top + 20), fill="navy")
        counted.append(picture_measures(picture, 96))
    assert counted[0]["clutter"] < counted[1]["clutter"] < counted[2]["clutter"]
    assert counted[0]["edge_density"] < counted[1]["edge_density"] < counted[2]["edge_density"]


def test_the_size_of_the_file_does_not_count() -> None:
    picture = Image.effect_mandelbrot((128, 128), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    one, other = (picture_measures(picture.resize((side, side)), 32) for side in (128, 256))
    assert one["entropy"] == pytest.approx(other["entropy"], abs=0.3)
