"""Original images: whole, of all decodable formats, JPEGs as such and others as PNGs; bombs and broken files are errors."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from synthpairs.captions.readers.images import original
from tests.captions.readers.conftest import encoded


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_an_original_is_small_and_rgb(form):
    image = Image.open(io.BytesIO(original(encoded("red", (200, 100), form), Path(), 16)))
    assert (image.size, image.mode, image.format) == ((32, 16), "RGB", "JPEG" if form == "JPEG" else "PNG")
    red, green, blue = image.getpixel((8, 8))
    assert red > 240 > 15 > max(green, blue)


def photo(form, mode="RGB", **options):
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize((40, 30)).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_that_is_small_enough_keeps_its_bytes(mode):
    payload = photo("JPEG", mode, quality=70, comment=b"of a camera")
    assert original(payload, Path(), 30) == payload
    with pytest.raises(ValueError, match="picture: OSError"):
        original(payload[:-40], Path(), 30)


def test_of_other_jpegs_the_pixels_are_those_of_a_png_but_for_little():
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn
    cases = [(photo("JPEG"), 15), (photo("JPEG", exif=turned), 30), (photo("JPEG", "CMYK"), 30)]
    for (payload, side), size in zip(cases, [(20, 15), (30, 40), (40, 30)], strict=True):
        with Image.open(io.BytesIO(payload)) as image:
            exact = np.asarray(ImageOps.exif_transpose(image).convert("RGB").resize(size, Image.Resampling.LANCZOS))
        stored = original(payload, Path(), side)
        image = Image.open(io.BytesIO(stored))
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", size)
        assert image.getexif() == {}
        assert np.abs(np.asarray(image).astype(int) - exact).max() < 8


def test_images_stay_whole_are_rotated_by_exif_and_put_on_white():
    image = Image.new("RGBA", (30, 10), "red")
    image.paste((0, 0, 255, 255), (10, 0, 20, 5))
    image.paste((0, 0, 0, 0), (10, 5, 20, 10))
    buffer, turned = io.BytesIO(), Image.Exif()
    turned[0x0112] = 3  # upside down
    image.save(buffer, "PNG", exif=turned)
    for side in (10, 40):  # small ones are not enlarged
        whole = Image.open(io.BytesIO(original(buffer.getvalue(), Path(), side)))
        assert whole.size == (30, 10)
        points = [whole.getpixel(point) for point in ((5, 5), (15, 1), (15, 8), (25, 5))]
        assert points == [(255, 0, 0), (255, 255, 255), (0, 0, 255), (255, 0, 0)]


@pytest.mark.parametrize("cell", [None, "", {"bytes": None, "path": None}, {"path": ""}])
def test_empty_cells_have_no_original(cell):
    assert original(cell, Path(), 16) is None


@pytest.mark.parametrize("cell", [b"", "a.png", {"bytes": b"", "path": None}, {"bytes": b"", "path": "b.png"}])
def test_a_picture_of_0_bytes_is_broken(cell, tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_bytes(encoded())
    with pytest.raises(ValueError, match="picture: ValueError: 0 bytes"):
        original(cell, tmp_path, 16)


@pytest.mark.parametrize("height", [671_089, 2_000_000])  # PIL itself refuses the other
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused(height):
    payload = encoded("red", (100, height), "PNG")
    with pytest.raises(ValueError, match="picture: DecompressionBomb"):
        original(payload, Path(), 16)


@pytest.mark.parametrize("cut", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_image_is_refused(cut, form):
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(buffer, form)
    with pytest.raises(ValueError, match="picture: "):
        original(buffer.getvalue()[: int(cut * buffer.tell())], Path(), 64)


def test_other_formats_and_types_are_refused():
    with pytest.raises(ValueError, match="UnidentifiedImageError"):
        original(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n", Path(), 16)
    for cell in (3, {"src": "https://example.org/a.png"}, []):
        with pytest.raises(ValueError, match=f"must be encoded bytes, a path or .* got {type(cell).__name__}"):
            original(cell, Path(), 16)


def test_a_page_saved_as_a_picture_gives_the_same_message_in_every_run(read, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>403 Forbidden</html>")
    (caption,) = read("a.csv", b"image,text\na.jpg,a dog\n", "csv", image="image")
    assert caption.detail.endswith("line 2: picture: UnidentifiedImageError: cannot identify image file")
