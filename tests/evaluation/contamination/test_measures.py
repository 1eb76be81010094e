import socket
import sys

import pytest
import transformers
from PIL import Image, ImageDraw

from synthpairs.evaluation.contamination.measures import NsfwClassifier, TextReader
from synthpairs.evaluation.contamination.params import Nsfw
from synthpairs.report.grids import _font
from tests.scoring.conftest import photo


def params(classifier, **changed):
    return Nsfw(**{"model": str(classifier), "label": "nsfw", "min": 0.5, "batch_size": 4} | changed)


def test_nsfw_probabilities_are_those_of_the_librarys_pipeline_in_any_batch(classifier):
    loaded = NsfwClassifier(params(classifier))
    images = [photo(32, seed) for seed in range(6)]
    rows = loaded.measure(images)
    reference = transformers.pipeline("image-classification", model=str(classifier), device="cpu")
    for row, scores in zip(rows, reference(images), strict=True):
        assert row["nsfw"] == pytest.approx(next(one["score"] for one in scores if one["label"] == "nsfw"), abs=1e-5)
    assert len({row["nsfw"] for row in rows}) == 6
    assert rows == [row for image in images for row in loaded.measure([image])]
    for changed, message in (
        ({"label": "safe"}, r"contamination.nsfw.label must be one of normal, nsfw for .* got 'safe'"),
        ({"model": "x"}, r"contamination.nsfw.model: 'x' is neither a directory nor OWNER/NAME@REVI"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            NsfwClassifier(params(classifier, **changed))


def refuse(*_):
    raise OSError("no network in tests")


def test_drawn_text_is_read_and_shapes_are_not(monkeypatch):
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
    with pytest.raises(
        ValueError, match=r"yaml: contamination.text needs packages .* rapidocr onnxruntime`, or set it to fal"
    ):
        TextReader()
