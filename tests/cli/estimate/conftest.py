"""A copy of params.yaml in an empty folder, to be changed by key."""

import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[3]


@pytest.fixture
def change(tmp_path, monkeypatch):
    """Set dotted keys in the working directory's params.yaml."""
    monkeypatch.chdir(tmp_path)
    path = Path(shutil.copy(ROOT / "params.yaml", tmp_path))

    def set_values(values):
        yaml = YAML(typ="safe")  # without comments
        document = yaml.load(path)
        for key, value in values.items():
            *parts, last = key.split(".")
            section = document
            for part in parts:
                section = section[part]
            section[last] = value
        yaml.dump(document, path)

    return set_values
