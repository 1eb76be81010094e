"""params.yaml as a plan reads it, and sizes of the models that it names."""

import math
import re
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from synthpairs.language.params import GgufSource
from synthpairs.params import convert, read_mapping

MADE = "models/llm"  # by stage `language_model`


class Document:
    """params.yaml, read once; sections and values have the types that the stages give them."""

    def __init__(self, path: Path) -> None:
        self.path, self._values = path, read_mapping(path)

    def get(self, key: str, kind: Any) -> Any:
        """The section or value of a dotted key as `kind`; ValueError when it is missing or something else."""
        value: Any = self._values
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                raise ValueError(f"{self.path}: {key} is missing")
            value = value[part]
        return convert(kind, value, f"{self.path}: {key}")


def parameters(model: str) -> float | None:
    """Parameters of a directory's safetensors, or as a name says it (vicuna-7b, 0.5B, 135M); None when neither tells.

    ValueError for a file that is cut short or, as a pointer of Git LFS, none of safetensors.
    """
    total = 0.0
    for file in sorted(Path(model).glob("*.safetensors")) if Path(model).is_dir() else []:
        try:
            with safe_open(file, "numpy") as weights:
                total += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
        except SafetensorError as error:
            raise ValueError(f"{file}: no whole safetensors file: {error}") from None
    if total:
        return total
    said = re.search(r"(?<![\d.])(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", model.partition("@")[0].lower())
    return float(said[1]) * (1e9 if said[2] == "b" else 1e6) if said else None


def model_parameters(params: Document, name: str) -> float | None:
    """As `parameters`, also of the language model that stage `language_model` has yet to make."""
    return parameters(name) or (parameters(params.get("language_model", GgufSource).file) if name == MADE else None)
