"""A copy of params.yaml that tests change by key."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from synthpairs.planning.params import Document

ROOT = Path(__file__).parents[2]
Change = Callable[..., Document]


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml"))


@pytest.fixture
def change(params: Path) -> Change:
    """Sets dotted keys in the copy, which keeps them, and reads it."""

    def changed(values: dict[str, Any] | None = None) -> Document:
        yaml = YAML(typ="safe")  # without comments
        document = yaml.load(params)
        for key, value in (values or {}).items():
            *parts, last = key.split(".")
            place = document
            for part in parts:
                place = place[part]
            place[last] = value
        yaml.dump(document, params)
        return Document(params)

    return changed
