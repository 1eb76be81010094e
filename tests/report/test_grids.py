import io

import numpy as np
import pytest
from PIL import Image

from synthpairs.report.grids import CAPTION_LINES, LINE, PADDING, Cell, _width, grid, wrap


def encoded(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


RED = encoded(Image.new("RGB", (8, 8), (255, 0, 0)))


def opened(payload):
    return np.asarray(Image.open(io.BytesIO(payload)).convert("RGB"))


def test_grid_places_enlarged_pictures_row_by_row():
    sheet = opened(grid([Cell(picture=RED, caption="one")] * 3, columns=2, side=40))
    height = 40 + 2 * PADDING + CAPTION_LINES * LINE
    assert sheet.shape == (2 * height, 2 * (40 + 2 * PADDING), 3)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        centre = sheet[row * height + PADDING + 20, column * (40 + 2 * PADDING) + PADDING + 20]
        assert centre.tolist() == [255, 0, 0]
    assert sheet[height + 1 :, 40 + 2 * PADDING :].min() == 255  # no fourth cell


def test_captions_and_notes_are_drawn():
    plain = opened(grid([Cell(picture=RED, caption="")], 1, 40))
    captioned = opened(grid([Cell(picture=RED, caption="a red square")], 1, 40))
    noted = opened(grid([Cell(picture=RED, caption="a red square", note="CLIP 0.31")], 1, 40))
    assert (plain[50:] == 255).all()
    assert not (captioned[50:] == 255).all()
    assert noted.shape[0] == captioned.shape[0] + LINE


@pytest.mark.parametrize("payload", [b"", b"no picture", RED[:40]])
def test_an_unreadable_picture_leaves_an_empty_frame(payload):
    sheet = opened(grid([Cell(picture=payload, caption="")], 1, 40))
    assert sheet[PADDING + 20, PADDING + 20].tolist() == [255, 255, 255]
    assert sheet[PADDING, PADDING].tolist() != [255, 255, 255]


@pytest.mark.parametrize("text", ["word " * 5000, "x" * 100_000, "a \x00 b\nc\td", ""])
def test_wrapped_text_fits(text):
    lines = wrap(text, 100)
    assert 1 <= len(lines) <= CAPTION_LINES
    assert all(_width(line) <= 100 for line in lines)
    assert all(line.isprintable() for line in lines)


def test_what_is_cut_says_so():
    assert wrap("a dog", 100) == ["a dog"]
    assert wrap("word " * 100, 100)[-1].endswith("...")
    assert wrap("x" * 300, 100)[0].endswith("...")
