"""Image pairs: one caption, a generated and a real image, and nothing in the files that reveals which is which."""

import io
from dataclasses import replace

from PIL import Image

from synthpairs.evaluation.preference.image_pairs import TABLE, draw_image_pairs, read_image_pairs, write_image_pairs
from tests.evaluation.preference.conftest import PARAMS, SECRET, THINGS, is_red
from tests.memory import add_pictures, little_memory


def test_both_images_belong_to_one_caption_and_show_nothing_of_their_origin(data):
    pairs = draw_image_pairs(replace(PARAMS, count=100), data)
    assert sorted(pair.concept for pair in pairs) == sorted(THINGS), "each caption once, none without a real image"
    for pair in pairs:
        assert (is_red(pair.synthetic), is_red(pair.real)) == (True, False)
        for png in (pair.synthetic, pair.real):
            image = Image.open(io.BytesIO(png))
            assert image.getpixel((0, 0))[1] == THINGS.index(pair.concept)
            assert (image.size, image.info) == ((PARAMS.image_size, PARAMS.image_size), {})
            assert SECRET.encode() not in png


def test_a_draw_is_the_start_of_a_larger_one_depends_on_the_seed_and_is_read_back(data, image_pairs, tmp_path):
    assert image_pairs == draw_image_pairs(replace(PARAMS, count=100), data)[: PARAMS.count]
    assert image_pairs != draw_image_pairs(replace(PARAMS, seed=1), data)
    for name in ("one", "two"):
        write_image_pairs(image_pairs, tmp_path / name)
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    assert read_image_pairs(tmp_path / "one") == image_pairs


def test_originals_do_not_have_to_fit_into_memory(data, image_pairs):
    add_pictures(data)
    with little_memory():
        assert draw_image_pairs(PARAMS, data) == image_pairs
