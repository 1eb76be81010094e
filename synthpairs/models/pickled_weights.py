"""Conversion of a model's pickled weights (pytorch_model*.bin) to safetensors, the only weights that stages load."""

import json
import logging
import re
import shutil
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from safetensors import SafetensorError
from torch import Tensor

from synthpairs.core.storage import file_sha256, write_json
from synthpairs.models.hub import CONVERTED, FILES, fetch_model, locate_model, snapshot_commit

log = logging.getLogger(__name__)
_PICKLE = re.compile(r"(\w*pytorch_model)(-\d+-of-\d+)?\.bin")  # not those of variants, as pytorch_model.fp16.bin
_COPIED = [pattern for pattern in FILES if pattern != "*.safetensors"]
_DOWNLOADED = (*_COPIED, "*pytorch_model.bin", "*pytorch_model-*-of-*.bin")


def convert_pickles(name: str, out: Path) -> None:
    """Write `out`: the weights of a directory or OWNER/NAME@REVISION as safetensors, its configurations and vocabularies.

    Weights keep their names and types, in shards of 5 GB with an index, as transformers and diffusers look for them. Pickles are
    read by torch's unpickler of tensors, which calls nothing: ValueError for those that hold anything else, FileNotFoundError for
    a model without. CONVERTED records where the weights are from. `out` appears when all is written.
    """
    if out.exists():
        raise ValueError(f"{out} exists: name another directory, or delete it")
    folder = locate_model(name, "", partial(fetch_model, files=_DOWNLOADED))
    weights: dict[tuple[Path, str], list[Path]] = {}
    for path in sorted(folder.rglob("*.bin")):
        if match := _PICKLE.fullmatch(path.name):
            weights.setdefault((path.parent, match[1]), []).append(path)
    if not weights:
        raise FileNotFoundError(f"{name} has no pytorch_model*.bin, so there is nothing to convert")
    unfinished = out.with_name(f".{out.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        for (parent, prefix), paths in weights.items():
            log.info("%s: %d files", parent.relative_to(folder) / prefix, len(paths))
            state = _state(paths, parent / f"{prefix}.bin.index.json")
            stem = prefix if prefix.startswith("diffusion_") else prefix.replace("pytorch_", "")
            part = unfinished / parent.relative_to(folder)
            part.mkdir(parents=True, exist_ok=True)
            save_torch_state_dict(state, part, filename_pattern=f"{stem}{{suffix}}.safetensors")
        for path in {path for pattern in _COPIED for path in folder.rglob(pattern)}:
            copy = unfinished / path.relative_to(folder)
            if not path.name.endswith(".bin.index.json"):
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)  # what the links of the hub's cache lead to
        files = {path.relative_to(folder).as_posix(): file_sha256(path) for paths in weights.values() for path in paths}
        write_json(unfinished / CONVERTED, {"model": name, "commit": snapshot_commit(folder), "pickles": files})
        unfinished.rename(out)
    except SafetensorError as error:  # neither an OSError nor a ValueError
        raise OSError(f"cannot write {out}: {error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _state(paths: Sequence[Path], index: Path) -> dict[str, Tensor]:
    """All tensors of a model's pickles by name, mapped into memory where the file's format allows it."""
    state: dict[str, Tensor] = {}
    storages: set[int] = set()
    for path in paths:
        for key, tensor in _tensors(path).items():
            address = tensor.untyped_storage().data_ptr()
            # safetensors shares no memory, and whether two weights are tied is for the model's config to say: each is written.
            state[key] = tensor.clone() if address in storages else tensor
            storages.add(address)
    if index.is_file() and (lacking := json.loads(index.read_text())["weight_map"].keys() - state.keys()):
        raise ValueError(f"{index.parent} lacks {len(lacking)} weights that {index.name} lists, first {min(lacking)}")
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        value: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # torch raises many types on damaged files
        found = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"it calls {found[1]}" if found else f"it is no whole file of weights ({type(error).__name__})"
        raise ValueError(f"{path} is not read: {reason}") from None
    if not (isinstance(value, dict) and all(isinstance(tensor, Tensor) for tensor in value.values())):
        raise ValueError(f"{path} is no table of weights by name")
    return value
