import io

import numpy as np
import pytest
from PIL import Image

from synthpairs.report.grids import CAPTION_LINES, LINE, PADDING, Cell, _width, grid, wrap

SIDE = 40
BUFFER = io.BytesIO()
Image.new("RGB", (8, 8), (255, 0, 0)).save(BUFFER, "PNG")
RED = BUFFER.getvalue()


def sheet_of(cells, columns=1):
    return np.asarray(Image.open(io.BytesIO(grid(cells, columns, SIDE))).convert("RGB"))


def test_images_are_enlarged_row_by_row():
    sheet = sheet_of([Cell(image=RED, caption="one")] * 3, columns=2)
    height, width = SIDE + 2 * PADDING + CAPTION_LINES * LINE, SIDE + 2 * PADDING
    assert sheet.shape == (2 * height, 2 * width, 3)
    for row, column in ((0, 0), (0, 1), (1, 0)):
        assert sheet[row * height + PADDING + 20, column * width + PADDING + 20].tolist() == [255, 0, 0]
    assert sheet[height + 1 :, width:].min() == 255  # no fourth cell


def test_captions_and_notes_are_drawn():
    plain, captioned, noted = (
        sheet_of([Cell(image=RED, caption=caption, note=note)])
        for caption, note in (("", ""), ("a red square", ""), ("a red square", "CLIP 0.31"))
    )
    assert (plain[50:] == 255).all()
    assert not (captioned[50:] == 255).all()
    assert noted.shape[0] == captioned.shape[0] + LINE


@pytest.mark.parametrize("payload", [b"", b"no image", RED[:40]])
def test_an_unreadable_image_leaves_an_empty_frame(payload):
    sheet = sheet_of([Cell(image=payload, caption="")])
    assert sheet[PADDING + 20, PADDING + 20].tolist() == [255, 255, 255]
    assert sheet[PADDING, PADDING].tolist() != [255, 255, 255]


@pytest.mark.parametrize(
    ("text", "cut"), [("word " * 5000, -1), ("x" * 100_000, 0), ("a \x00 b\nc\td", None), ("a dog", None), ("", None)]
)
def test_wrapped_text_fits_and_marks_cuts(text, cut):
    lines = wrap(text, 100)
    assert 1 <= len(lines) <= CAPTION_LINES
    assert all(_width(line) <= 100 and line.isprintable() for line in lines)
    assert any(line.endswith("...") for line in lines) == (cut is not None)
    assert cut is None or lines[cut].endswith("...")
