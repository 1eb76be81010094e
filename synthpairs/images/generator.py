"""A text-to-image pipeline whose pictures are functions of their keys.

Noise is drawn on the CPU in float32 from the key's seed, whatever the device, type, batch or worker. With one batch
size on one kind of machine a key gives the same bytes in any company (see synthpairs.inference); another batch size may
move single colour values by one.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch

from synthpairs.execution.tuning import tuned
from synthpairs.images.params import Images
from synthpairs.inference import best_device, filled, steady_threads, threads
from synthpairs.pipelines import load_pipeline
from synthpairs.schema import digest, noise_seed


class Generator:
    """A loaded pipeline with its settings. ValueError or OSError when it cannot be had."""

    def __init__(self, params: Images) -> None:
        if params.side % 8:
            raise ValueError(f"params.yaml: images.side must be a multiple of 8, got {params.side}")
        pipeline, identity = load_pipeline(params.generator, "images.generator", getattr(torch, params.dtype))
        self.params = params
        self.device = best_device()
        self.pipeline = tuned(pipeline.to(self.device))
        if params.scheduler:
            self.pipeline.scheduler = getattr(diffusers, params.scheduler).from_config(self.pipeline.scheduler.config)
        tokenizers = [part for name, part in self.pipeline.components.items() if name.startswith("tokenizer") and part]
        self.tokenizer = min(tokenizers, key=lambda tokenizer: tokenizer.model_max_length)  # the one that cuts first
        self._noise = _noise_shape(self.pipeline, params.side)
        self.inputs = identity | self._settings()
        self.fingerprint = digest(self.inputs)

    def _settings(self) -> dict[str, Any]:
        """Everything that changes pictures beside the files, spelled out."""
        scheduler = self.pipeline.scheduler
        settings = {name: value for name, value in scheduler.config.items() if not name.startswith("_")}
        return {
            "scheduler": {"class": type(scheduler).__name__} | json.loads(json.dumps(settings, default=str)),
            "steps": self.params.steps,
            "guidance": self.params.guidance,
            "negative_prompt": self.params.negative_prompt,
            "side": self.params.side,
            "dtype": self.params.dtype,
            "format": self.params.format,
        }

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
