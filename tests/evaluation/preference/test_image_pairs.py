"""An image pair is one caption with the image that was generated for it and its own; nothing in the files tells them apart."""

import io
from dataclasses import replace

from PIL import Image

from synthpairs.evaluation.preference.image_pairs import (
    TABLE,
    draw_image_pairs,
    mismatched_pairs,
    read_image_pairs,
    write_image_pairs,
)
from tests.evaluation.preference.conftest import PARAMS, SECRET, THINGS, is_red


def test_both_images_belong_to_one_caption_and_show_nothing_of_their_origin(data):
    pairs = draw_image_pairs(replace(PARAMS, count=100), data)
    assert sorted(pair.concept for pair in pairs) == sorted(THINGS), "each caption once, none without an original"
    for pair in pairs:
        assert (is_red(pair.synthetic), is_red(pair.real)) == (True, False)
        for png in (pair.synthetic, pair.real):
            image = Image.open(io.BytesIO(png))
            assert image.getpixel((0, 0))[1] == THINGS.index(pair.concept)
            assert (image.size, image.info) == ((PARAMS.side, PARAMS.side), {})
            assert SECRET.encode() not in png


def test_a_mismatched_pair_is_about_something_else(image_pairs):
    one, other, third = image_pairs[:3]
    beside = replace(other, text=f"{other.concept} and {one.concept}s on red")  # shows the first one's thing too
    assert mismatched_pairs([one, beside, third])[0] == third
    assert mismatched_pairs([one, replace(one, couple="again")]) == [None, None]
    nameless = [replace(pair, concept="") for pair in (one, replace(other, text=one.text), third)]
    assert mismatched_pairs(nameless)[0] == nameless[2]


def test_a_draw_is_the_start_of_a_larger_one_depends_on_the_seed_and_is_read_back(data, image_pairs, tmp_path):
    assert image_pairs == draw_image_pairs(replace(PARAMS, count=100), data)[: PARAMS.count]
    assert image_pairs != draw_image_pairs(replace(PARAMS, seed=1), data)
    for name in ("one", "two"):
        write_image_pairs(image_pairs, tmp_path / name)
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "two" / TABLE).read_bytes()
    assert read_image_pairs(tmp_path / "one") == image_pairs
