import numpy as np
import pytest
from PIL import Image, ImageDraw

from synthpairs.evaluation.distributions.measure import image_measures
from synthpairs.evaluation.distributions.results import IMAGE_MEASURES


@pytest.mark.parametrize(("levels", "bits"), [(2, 1), (16, 4), (256, 8)])
def test_entropy_of_evenly_frequent_levels_is_their_logarithm(levels, bits):
    gray = Image.fromarray((np.arange(64 * 64) % levels).astype(np.uint8).reshape(64, 64))
    assert image_measures(gray.convert("RGB"), 64)["entropy"] == pytest.approx(bits)


def test_more_objects_have_more_regions_and_edges():
    assert image_measures(Image.new("RGB", (64, 64), "teal"), 32) == dict(zip(IMAGE_MEASURES, (0, 0, 1), strict=True))
    measured = []
    for count in (1, 4, 9):
        image = Image.new("RGB", (96, 96), "white")
        for number in range(count):
            left, top = number % 3 * 32 + 4, number // 3 * 32 + 4
            ImageDraw.Draw(image).ellipse((left, top, left + 20, top + 20), fill="navy")
        measured.append(image_measures(image, 96))
    for name in ("clutter", "edge_density"):
        assert measured[0][name] < measured[1][name] < measured[2][name]
    fractal = Image.effect_mandelbrot((128, 128), (-2, -1.5, 1, 1.5), 100).convert("RGB")
    one, other = (image_measures(fractal.resize((side, side)), 32) for side in (128, 256))
    assert one["entropy"] == pytest.approx(other["entropy"], abs=0.3), "independent of the image size"
