"""Values of params.yaml one by one, with the checks that a plan's arithmetic needs, and sizes of the models that they name."""

import json
import math
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

MADE = "models/llm"  # by stage `language_model`


class Document:
    """params.yaml; a value is asked for by its dotted key."""

    def __init__(self, path: Path) -> None:
        self.path, self._values = path, YAML(typ="safe").load(path)

    def get(self, key: str) -> Any:
        """The value; ValueError when there is no such key."""
        value = self._values
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise ValueError(f"{self.path}: {key} is missing")
            value = value[part]
        return value

    def number(self, key: str, low: float) -> float:
        """The value, a number from `low` up; ValueError for anything else."""
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value < math.inf:
            raise ValueError(f"{self.path}: {key} must be a number >= {low}, got {value!r}")
        return value

    def count(self, key: str, low: int = 1) -> int:
        """As `number`, whole."""
        return int(self.number(key, low))


def parameters(model: str) -> float | None:
    """Parameters of a directory's safetensors, or as a name says it (vicuna-7b, 0.5B, 135M); None when neither tells."""
    total = 0.0
    for file in sorted(Path(model).glob("*.safetensors")) if Path(model).is_dir() else []:
        with file.open("rb") as opened:
            header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")
    if total:
        return total
    said = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.partition("@")[0].lower())
    return float(said[1]) * (1e9 if said[2] == "b" else 1e6) if said else None


def model_parameters(params: Document, key: str) -> float | None:
    """As `parameters`, of the model that `key` names, be it the one that stage `language_model` has yet to make."""
    name = str(params.get(key))
    return parameters(name) or (parameters(str(params.get("language_model.file"))) if name == MADE else None)
