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
    downloaded nor loaded nor part of its identity. For float16 a hub model's fp16 files are taken where it has some, half the
    bytes; of a directory always the plain ones. ValueError or OSError when it cannot be loaded.
    """
    quieten()
    parts = dict(parts or {})
    variant = "fp16" if dtype == torch.float16 and not Path(name).is_dir() else None
    folder = model_folder(name, key, partial(_fetch, parts, variant))
    if variant and not any(_variant(file) == variant for file in folder.glob("*/*.safetensors")):
        variant = None
    pipeline = _load(folder, key, dtype, parts, variant)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline, {
        "model": name,
        "files": {file: file_sha256(folder / file) for file in _loaded_files(folder, parts, variant)},
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


def _fetch(parts: Mapping[str, torch.nn.Module], variant: str | None, model: str, revision: str) -> str:
    """Download a pipeline of the hub without the given parts, in the variant if it has files of it; returns the directory."""
    fetch = partial(diffusers.DiffusionPipeline.download, model, revision=revision, use_safetensors=True, **parts)
    try:
        try:
            return str(fetch(variant=variant))
        except ValueError:  # no part has it
            return str(fetch())
    except OSError as error:
        # Diffusers reports a refusal as a plain OSError, "not cached", whose cause is the hub's error.
        cause = error.__cause__ if type(error) is OSError else None
        raise cause or error from None


def _load(
    folder: Path,
    key: str,
    dtype: torch.dtype | dict[str, torch.dtype],
    parts: Mapping[str, torch.nn.Module],
    variant: str | None,
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
    _check_parts(folder, key, parts, variant)
    settings: dict[str, Any] = dict(parts)
    # SDXL pipelines would add a watermark if an optional package is installed.
    if "add_watermarker" in inspect.signature(pipeline_class.__init__).parameters:
        settings["add_watermarker"] = False
    return diffusers.DiffusionPipeline.from_pretrained(
        folder, dtype=dtype, variant=variant, use_safetensors=True, trust_remote_code=False, **settings
    )


def _check_parts(folder: Path, key: str, given: Container[str], variant: str | None) -> None:
    """FileNotFoundError for parts without loadable weights, ValueError for parts whose class is custom code."""
    for part, (library, kind) in _parts(folder, given):
        if library not in _LIBRARIES and not hasattr(diffusers.pipelines, library):
            raise ValueError(
                f"params.yaml: {key}: {part} of {folder} is a {kind} of custom code ({library}.py), which is never run"
            )
        if not (folder / part / "config.json").is_file():
            continue  # a scheduler or a tokenizer
        files = sorted((folder / part).iterdir())
        if not any(file.suffix == ".safetensors" and _variant(file) in (None, variant) for file in files):
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


def _variant(file: Path) -> str | None:
    """Variant of a file of weights or of their index, as diffusers names them: fp16 of model.fp16-00001-of-00002.safetensors."""
    words = [word for word in file.name.split(".")[1:] if word not in ("safetensors", "index", "json")]
    return words[0].partition("-")[0] if words else None


def _loaded_files(folder: Path, given: Container[str], variant: str | None) -> list[str]:
    """Relative paths of the files that are loaded, sorted: each part's weights in the variant if it has some, else plain."""
    loaded = ["model_index.json"]
    for part, _ in _parts(folder, given):
        files = [file for file in (folder / part).rglob("*") if file.suffix in _LOADED]
        weights = {file for file in files if ".safetensors" in file.name}
        wanted = variant if variant in map(_variant, weights) else None
        loaded += [
            file.relative_to(folder).as_posix() for file in files if file not in weights or _variant(file) == wanted
        ]
    return sorted(loaded)
