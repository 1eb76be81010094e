"""A text-to-image pipeline whose pictures are functions of their keys.

Noise is drawn on the CPU in float32 from the key's seed, whatever the device, type, batch or worker. With one batch
size on one kind of machine a key gives the same bytes in any company (see synthpairs.inference); another batch size may
move single colour values by one.
"""

import inspect
import json
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from synthpairs.hub import model_folder
from synthpairs.images.params import Images
from synthpairs.inference import best_device, filled, steady_threads, threads
from synthpairs.schema import digest, noise_seed
from synthpairs.storage import file_sha256

_LOADED = {".safetensors", ".json", ".txt", ".model"}  # weights, configurations, vocabularies


class Generator:
    """A loaded pipeline with its settings. ValueError or OSError when it cannot be had."""

    def __init__(self, params: Images) -> None:
        if params.side % 8:
            raise ValueError(f"params.yaml: images.side must be a multiple of 8, got {params.side}")
        _quieten()
        fetch = partial(diffusers.DiffusionPipeline.download, use_safetensors=True)
        folder = model_folder(params.generator, "images.generator", fetch)
        self.params = params
        self.device = best_device()
        self.pipeline = _load(folder, params.dtype).to(self.device)
        self.pipeline.set_progress_bar_config(disable=True)
        if params.scheduler:
            self.pipeline.scheduler = getattr(diffusers, params.scheduler).from_config(self.pipeline.scheduler.config)
        tokenizers = [part for name, part in self.pipeline.components.items() if name.startswith("tokenizer") and part]
        self._tokenizer = min(tokenizers, key=lambda tokenizer: tokenizer.model_max_length)
        self._noise = _noise_shape(self.pipeline, params.side)
        self.inputs = self._inputs(folder)
        self.fingerprint = digest(self.inputs)

    def _inputs(self, folder: Path) -> dict[str, Any]:
        """Everything that changes pictures, spelled out."""
        scheduler = self.pipeline.scheduler
        settings = {name: value for name, value in scheduler.config.items() if not name.startswith("_")}
        return {
            "model": self.params.generator,
            "files": {name: file_sha256(folder / name) for name in _loaded_files(folder)},
            "pipeline": type(self.pipeline).__name__,
            "scheduler": {"class": type(scheduler).__name__} | json.loads(json.dumps(settings, default=str)),
            "steps": self.params.steps,
            "guidance": self.params.guidance,
            "negative_prompt": self.params.negative_prompt,
            "side": self.params.side,
            "dtype": self.params.dtype,
            "format": self.params.format,
            "diffusers": diffusers.__version__,
            "torch": torch.__version__.split("+")[0],  # the rest says for which device it was built
        }

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each prompt, markers included, for the text encoder that reads the fewest."""
        return [len(ids) for ids in self._tokenizer(list(texts), truncation=False).input_ids]

    @property
    def token_limit(self) -> int:
        """Tokens of a prompt that every text encoder reads."""
        return int(self._tokenizer.model_max_length)

    @cached_property
    def threads(self) -> int:
        """How many threads it paints with."""
        key, size = digest("probe"), self.params.batch
        return steady_threads(lambda: self._run([key] * size, ["a probe"] * size, min(2, self.params.steps)))

    def paint(self, keys: Sequence[str], texts: Sequence[str]) -> np.ndarray:
        """Pictures [n, side, side, 3] in [0, 1] for at most one batch; what the pipeline raises comes through."""
        size = self.params.batch
        with threads(self.threads):
            return self._run(filled(keys, size), filled(texts, size), self.params.steps)[: len(keys)]

    def _run(self, keys: Sequence[str], texts: Sequence[str], steps: int) -> np.ndarray:
        noise = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
        latents = torch.stack([torch.randn(self._noise, generator=source) for source in noise])
        negative = self.params.negative_prompt
        with torch.inference_mode():
            pictures = self.pipeline(
                prompt=list(texts),
                negative_prompt=None if negative is None else [negative] * len(texts),
                num_inference_steps=steps,
                guidance_scale=self.params.guidance,
                height=self.params.side,
                width=self.params.side,
                latents=latents.to(self.device, getattr(torch, self.params.dtype)),
                generator=noise,  # some schedulers draw more noise on the way: it too comes from the key
                output_type="np",
            ).images
        return np.asarray(pictures)


def _noise_shape(pipeline: diffusers.DiffusionPipeline, side: int) -> tuple[int, int, int]:
    """Channels, height and width of one picture's latents."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    if denoiser is None or hasattr(pipeline, "_pack_latents"):
        raise ValueError(
            f"params.yaml: images.generator: {type(pipeline).__name__} takes no latents [channels, height, width]; "
            "StableDiffusion, StableDiffusionXL, StableDiffusion3 and PixArt pipelines do"
        )
    return denoiser.config.in_channels, side // pipeline.vae_scale_factor, side // pipeline.vae_scale_factor


def _quieten() -> None:
    """Keep the libraries' bars and warnings out of the log: cut prompts are counted, and progress is shown by us."""
    diffusers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()


def _load(folder: Path, dtype: str) -> diffusers.DiffusionPipeline:
    """The pipeline from safetensors alone, without code from its directory and without a watermark."""
    if not (folder / "model_index.json").is_file():
        raise FileNotFoundError(f"{folder}/model_index.json is missing: images.generator must be a diffusers pipeline")
    named = diffusers.DiffusionPipeline.load_config(folder)["_class_name"]
    kind = getattr(diffusers, named, None) if isinstance(named, str) else None
    if kind is None:
        raise ValueError(f"{folder}/model_index.json: diffusers {diffusers.__version__} has no pipeline {named!r}")
    extra = {}
    # SDXL pipelines mark every picture if and only if an optional package happens to be installed.
    if "add_watermarker" in inspect.signature(kind.__init__).parameters:
        extra["add_watermarker"] = False
    return diffusers.DiffusionPipeline.from_pretrained(
        folder, dtype=getattr(torch, dtype), use_safetensors=True, trust_remote_code=False, **extra
    )


def _loaded_files(folder: Path) -> list[str]:
    """The files that a pipeline is loaded from, relative, sorted; variants such as `model.fp16.safetensors` are not."""
    index = json.loads((folder / "model_index.json").read_text())
    parts = [name for name, value in index.items() if isinstance(value, list) and value[0]]
    files = [
        file.relative_to(folder).as_posix()
        for part in parts
        for file in (folder / part).rglob("*")
        if file.suffix in _LOADED and not (file.suffix == ".safetensors" and "." in file.stem)
    ]
    return sorted(["model_index.json", *files])
