"""Pictures of more than 8 bits, with transparency, turned or broken."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from synthpairs.core.images import decode_image, read_picture
from synthpairs.core.tar import MAX_BYTES


def decoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return np.asarray(decode_image(buffer.getvalue()))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_16_bits_become_8(form, kind):
    ramp = np.arange(0, 65536, 257, dtype=kind).reshape(16, 16)
    expected = np.arange(256).reshape(16, 16)
    assert (decoded(Image.fromarray(ramp), form) == expected[..., None]).all()
    assert (decoded(Image.fromarray(ramp // 2), form) == (expected // 2)[..., None]).all()  # a dark picture stays dark


@pytest.mark.parametrize("kind", [np.int32, np.float32])
@pytest.mark.parametrize(("values", "expected"), [
    ([0, 1], [0, 255]), ([0, 100, 255], [0, 100, 255]), ([-5, 257, 40000], [0, 1, 156]), ([0, 100_000, 200_000], [0, 128, 255]),
    ([0, 0], [0, 0]),
])  # fmt: skip
def test_white_of_numbers_is_the_first_usual_one_that_none_exceeds(kind, values, expected):
    pixels = decoded(Image.fromarray(np.array([values], kind)), "TIFF")
    assert pixels[0].tolist() == [[value] * 3 for value in expected]


def test_numbers_that_are_not_finite_are_black():
    pixels = decoded(Image.fromarray(np.array([[0.5, np.nan, np.inf, -np.inf]], np.float32)), "TIFF")
    assert pixels[0, :, 0].tolist() == [128, 0, 0, 0]


def test_a_picture_is_turned_and_put_on_white_and_a_broken_exif_block_does_not_matter():
    image = Image.new("LA", (2, 1), (0, 255))
    image.putpixel((0, 0), (0, 0))
    upside_down = Image.Exif()
    upside_down[0x0112] = 3
    assert decoded(image, "PNG")[0].tolist() == [[255] * 3, [0] * 3]
    assert decoded(image, "PNG", exif=upside_down)[0].tolist() == [[0] * 3, [255] * 3]
    assert decoded(image, "PNG", exif=b"Exif\0\0broken")[0].tolist() == [[255] * 3, [0] * 3]


def test_a_pipe_and_a_large_file_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    for name in ("pipe", "large", "none"):
        with pytest.raises(ValueError, match=f"{name} is no file of at most {MAX_BYTES} bytes"):
            read_picture(tmp_path / name)
