import socket
import sys

import pytest
from PIL import Image, ImageDraw

from synthpairs.evaluation.contamination.written import TextReader
from synthpairs.report.grids import _font
from tests.scoring.conftest import photo


def refuse(*_):
    raise OSError("no network in tests")


def test_drawn_text_is_read_and_other_pictures_have_none(monkeypatch):
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(socket.socket, "connect", refuse)
    marked = photo(256, 3)
    style = {"fill": "white", "font": _font(size=32), "stroke_width": 3, "stroke_fill": "black"}
    ImageDraw.Draw(marked).text((20, 110), "STOCKPHOTO", **style)
    plain = Image.new("RGB", (64, 64), "teal")
    ring = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(ring).text((60, 60), "O", fill="black", font=_font(size=64))
    reader = TextReader()
    first, *rest = [row["written"] for row in reader.measure([marked, plain, marked, ring])]
    assert "STOCKPHOTO" in first.replace(" ", "")
    assert rest == ["", first, ""], "a single letter may be a shape"
    assert reader.inputs["rapidocr"]


def test_missing_packages_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(ValueError, match=r"yaml: audit.text needs packages .* rapidocr onnxruntime`, or set it to fal"):
        TextReader()
