"""Text-to-image pipelines of diffusers, loaded from safetensors alone and identified by the hash of each file."""

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

_LIBRARIES = {"diffusers", "transformers"}  # of a pipeline's classes
_NOT_LOADED = {".bin", ".ckpt", ".pt", ".pth", ".safetensors"}  # pickles, and variants such as fp16
_LOADED = {".safetensors", ".json", ".txt", ".model"}  # weights, configurations, vocabularies


def load_pipeline(
    name: str, key: str, dtype: torch.dtype | dict[str, torch.dtype], parts: Mapping[str, torch.nn.Module] | None = None
) -> tuple[diffusers.DiffusionPipeline, dict[str, Any]]:
    """The pipeline that the param `key` names, and its identity: name, class, hash of each file, versions.

    `dtype` may map names of parts and `default`. Models in `parts` replace the pipeline's own, which are then neither
    downloaded nor loaded nor part of its identity. ValueError or OSError when it cannot be loaded.
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
        "torch": torch.__version__.split("+")[0],  # without the device it was built for
    }


def quieten() -> None:
    """Turn off the libraries' progress bars and warnings."""
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _fetch(parts: Mapping[str, torch.nn.Module], model: str, revision: str) -> str:
    """Download a pipeline of the hub without the given parts; returns the directory."""
    try:
        return str(diffusers.DiffusionPipeline.download(model, revision=revision, use_safetensors=True, **parts))
    except OSError as error:  # diffusers reports every refusal as "not cached"; its cause is the hub's error
        cause = error.__cause__
        if cause is None or isinstance(cause, OSError):
            raise (cause or error) from None
        raise OSError(f"{model}@{revision} cannot be fetched: {cause}") from None


def _load(
    folder: Path, key: str, dtype: torch.dtype | dict[str, torch.dtype], parts: Mapping[str, torch.nn.Module]
) -> diffusers.DiffusionPipeline:
    """The pipeline from safetensors alone, without custom code and without a watermark."""
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{folder}/model_index.json is missing: {key} must be a diffusers pipeline")
    class_name = diffusers.DiffusionPipeline.load_config(folder)["_class_name"]
    pipeline_class = getattr(diffusers, class_name, None) if isinstance(class_name, str) else None
    if pipeline_class is None:
        raise ValueError(
            f"{folder}/model_index.json: diffusers {diffusers.__version__} has no pipeline {class_name!r}, and custom code "
            "is never run"
        )
    _check_parts(folder, key, parts)
    settings: dict[str, Any] = dict(parts)
    # SDXL pipelines would add a watermark if an optional package is installed.
    if "add_watermarker" in inspect.signature(pipeline_class.__init__).parameters:
        settings["add_watermarker"] = False
    return diffusers.DiffusionPipeline.from_pretrained(
        folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, **settings
    )


def _check_parts(folder: Path, key: str, given: Container[str]) -> None:
    """FileNotFoundError for parts without loadable weights, ValueError for parts whose class is custom code."""
    for part, (library, kind) in _parts(folder, given):
        if library not in _LIBRARIES and not hasattr(diffusers.pipelines, library):
            raise ValueError(
                f"params.yaml: {key}: {part} of {folder} is a {kind} of custom code ({library}.py), which is never run"
            )
        if not (folder / part / "config.json").is_file():
            continue  # a scheduler or a tokenizer
        files = sorted((folder / part).iterdir())
        if not any(file.suffix == ".safetensors" and "." not in file.stem for file in files):
            others = [file.name for file in files if file.suffix in _NOT_LOADED]
            raise FileNotFoundError(
                f"params.yaml: {key}: {folder / part} holds no plain safetensors weights"
                + (f", only {', '.join(others)}: pickles can run code, and variants are not read" if others else "")
            )


def _parts(folder: Path, given: Container[str]) -> list[tuple[str, list[str]]]:
    """(name, [library, class]) of a pipeline's parts without the given ones."""
    index = json.loads((folder / "model_index.json").read_text())
    return [
        (name, value) for name, value in index.items() if isinstance(value, list) and value[0] and name not in given
    ]


def _loaded_files(folder: Path, given: Container[str]) -> list[str]:
    """Relative paths of the files that are loaded, sorted: no variants such as `model.fp16.safetensors`, no given parts."""
    files = [
        file.relative_to(folder).as_posix()
        for part, _ in _parts(folder, given)
        for file in (folder / part).rglob("*")
        if file.suffix in _LOADED and not (file.suffix == ".safetensors" and "." in file.stem)
    ]
    return sorted(["model_index.json", *files])
