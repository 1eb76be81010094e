"""Text-to-image pipelines of diffusers as the stages load them: from safetensors alone, every file by its hash."""

import inspect
import json
from collections.abc import Container, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from synthpairs.core.storage import file_sha256
from synthpairs.models.hub import model_folder

_LIBRARIES = {"diffusers", "transformers"}  # that a pipeline's classes come from
_NOT_LOADED = {".bin", ".ckpt", ".pt", ".pth", ".safetensors"}  # pickles, and variants such as fp16
_LOADED = {".safetensors", ".json", ".txt", ".model"}  # weights, configurations, vocabularies


def load_pipeline(
    name: str, key: str, dtype: torch.dtype | dict[str, torch.dtype], parts: Mapping[str, torch.nn.Module] | None = None
) -> tuple[diffusers.DiffusionPipeline, dict[str, Any]]:
    """The pipeline that the param `key` names, and its identity: name, class, hash of each file, versions.

    `dtype` may name parts and a `default`. Models in `parts` take the place of the pipeline's own, which are then neither
    fetched nor loaded nor in its identity. ValueError or OSError when it cannot be had.
    """
    quieten()
    parts = dict(parts or {})
    folder = model_folder(name, key, partial(_fetch, parts))
    pipeline = _load(folder, key, dtype, parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, {
        "model": name,
        "files": {file: file_sha256(folder / file) for file in _loaded_files(folder, parts)},
        "pipeline": type(pipeline).__name__,
        "diffusers": diffusers.__version__,
        "torch": torch.__version__.split("+")[0],  # the rest says for which device it was built
    }


def quieten() -> None:
    """Keep the libraries' bars and warnings out of the log: cut prompts are counted, and progress is shown by us."""
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _fetch(parts: Mapping[str, torch.nn.Module], model: str, revision: str) -> str:
    """Fetch a hub's pipeline but for the given parts; returns the directory."""
    try:
        return str(diffusers.DiffusionPipeline.download(model, revision=revision, use_safetensors=True, **parts))
    except OSError as error:  # "not cached" is what diffusers says of every refusal; what the hub said is its cause
        cause = error.__cause__
        if cause is None or isinstance(cause, OSError):
            raise (cause or error) from None
        raise OSError(f"{model}@{revision} cannot be fetched: {cause}") from None


def _load(
    folder: Path, key: str, dtype: torch.dtype | dict[str, torch.dtype], parts: Mapping[str, torch.nn.Module]
) -> diffusers.DiffusionPipeline:
    """The pipeline from safetensors alone, without code from its directory and without a watermark."""
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{folder}/model_index.json is missing: {key} must be a diffusers pipeline")
    named = diffusers.DiffusionPipeline.load_config(folder)["_class_name"]
    kind = getattr(diffusers, named, None) if isinstance(named, str) else None
    if kind is None:
        raise ValueError(
            f"{folder}/model_index.json: diffusers {diffusers.__version__} has no pipeline {named!r}, and code of a model's "
            "own is never run"
        )
    _check_parts(folder, key, parts)
    extra: dict[str, Any] = dict(parts)
    # SDXL pipelines mark every picture if and only if an optional package happens to be installed.
    if "add_watermarker" in inspect.signature(kind.__init__).parameters:
        extra["add_watermarker"] = False
    return diffusers.DiffusionPipeline.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, **extra
    )


def _check_parts(folder: Path, key: str, given: Container[str]) -> None:
    """One clear error for models without weights that can be loaded, or of classes that are the model's own code."""
    for part, (library, kind) in _parts(folder, given):
        if library not in _LIBRARIES and not hasattr(diffusers.pipelines, library):
            raise ValueError(
                f"params.yaml: {key}: {part} of {folder} is a {kind} of its own code ({library}.py), which is never run"
            )
        if not (folder / part / "config.json").is_file():
            continue  # a scheduler or a tokenizer
        files = sorted((folder / part).iterdir())
        if not any(file.suffix == ".safetensors" and "." not in file.stem for file in files):
            found = [file.name for file in files if file.suffix in _NOT_LOADED]
            raise FileNotFoundError(
                f"params.yaml: {key}: {folder / part} holds no plain safetensors weights"
                + (f", only {', '.join(found)}: pickles can run code, and variants are not read" if found else "")
            )


def _parts(folder: Path, given: Container[str]) -> list[tuple[str, list[str]]]:
    """The parts that a pipeline consists of, but for the given ones, each with its library and class."""
    index = json.loads((folder / "model_index.json").read_text())
    return [
        (name, value) for name, value in index.items() if isinstance(value, list) and value[0] and name not in given
    ]


def _loaded_files(folder: Path, given: Container[str]) -> list[str]:
    """The files that a pipeline is loaded from, relative, sorted; variants such as `model.fp16.safetensors` are not.

    Nor are those of `given` parts.
    """
    files = [
        file.relative_to(folder).as_posix()
        for part, _ in _parts(folder, given)
        for file in (folder / part).rglob("*")
        if file.suffix in _LOADED and not (file.suffix == ".safetensors" and "." in file.stem)
    ]
    return sorted(["model_index.json", *files])
