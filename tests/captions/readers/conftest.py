"""Sources over files in the test's own directory."""

import io

import pytest
from PIL import Image

from synthpairs.captions.params import Columns, Source
from synthpairs.captions.readers.read import read_sources
from tests.captions.conftest import CONCEPTS


def source_of(path, kind, **changed):
    """A source of a file; changes of its fields, with text, image and source for its columns."""
    columns = {part: changed.pop(part, None) for part in ("text", "image", "source")}
    values = {"name": "web", "path": str(path), "format": kind, "images": None, "limit": None}
    return Source(**values | changed, columns=Columns(**columns))


@pytest.fixture
def read(tmp_path):
    """Writes a file's bytes and reads it as a source; what becomes of its rows."""

    def captions(name, payload, kind, **changed):
        (tmp_path / name).write_bytes(payload)
        return list(read_sources([source_of(tmp_path / name, kind, **changed)], 16, CONCEPTS))

    return captions


def encoded(colour="red", size=(40, 30), form="JPEG"):
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def outcome(captions):
    """Texts and reasons."""
    return [(caption.text, caption.reason) for caption in captions]
