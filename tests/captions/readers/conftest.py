"""Reading of sources, and encoded images."""

import io

import pytest
from PIL import Image

from synthpairs.captions.readers.read import read_sources
from tests.captions.conftest import CONCEPTS, source_of


def read_all(*sources):
    return list(read_sources(sources, 16, CONCEPTS))


@pytest.fixture
def read(tmp_path):
    """Writes a file and reads its captions."""

    def captions(name, payload, kind, **changed):
        (tmp_path / name).write_bytes(payload)
        return read_all(source_of(tmp_path / name, kind, **changed))

    return captions


def encoded(colour="red", size=(40, 30), form="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def outcome(captions):
    return [(caption.text, caption.reason) for caption in captions]


def reasons(captions):
    return [caption.reason for caption in captions]
