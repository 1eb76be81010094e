"""Sources over files in the test's own directory."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from synthpairs.captions.params import Columns, Source
from synthpairs.captions.reading.read import read_sources
from synthpairs.captions.record import Caption
from tests.captions.conftest import CONCEPTS


def source_of(path: Path | str, kind: Any, **changed: Any) -> Source:
    """A source of a file; changes of its fields, with text, image and source for its columns."""
    columns = {part: changed.pop(part, None) for part in ("text", "image", "source")}
    values: dict[str, Any] = {"name": "web", "path": str(path), "format": kind, "images": None, "limit": None}
    return Source(**values | changed, columns=Columns(**columns))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Caption]]:
    """Writes a file's bytes and reads it as a source; what becomes of its rows."""

    def captions(name: str, payload: bytes, kind: str, **changed: Any) -> list[Caption]:
        (tmp_path / name).write_bytes(payload)
        return list(read_sources([source_of(tmp_path / name, kind, **changed)], 16, CONCEPTS))

    return captions


def encoded(colour: str = "red", size: tuple[int, int] = (40, 30), form: str = "JPEG") -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, form)
    return buffer.getvalue()


def outcome(captions: list[Caption]) -> list[tuple[str, str | None]]:
    """Texts and reasons."""
    return [(caption.text, caption.reason) for caption in captions]
