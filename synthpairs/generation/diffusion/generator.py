"""A text-to-image pipeline whose pictures are functions of their keys.

Noise is drawn on the CPU in float32 from the key's seed, whatever the device, type, batch or worker. With one batch
size on one kind of machine a key gives the same bytes in any company (see synthpairs.core.determinism); another batch size may
move single colour values by one.
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch

from synthpairs.core.determinism import best_device, filled, steady_threads, threads
from synthpairs.core.schema import digest, noise_seed
from synthpairs.generation.diffusion.loading import load, told_scheduler
from synthpairs.generation.diffusion.params import RECIPE, Images
from synthpairs.generation.diffusion.prompts import chunk_counts, embeddings, readers
from synthpairs.runtime.engine.tuning import tuned

# What some pipelines do to captions and sizes unless they are told otherwise, partly only where an optional package is there.
MEDDLING = {"clean_caption": False, "use_resolution_binning": False}


class Generator:
    """A loaded pipeline with its settings. ValueError or OSError when it cannot be had."""

    def __init__(self, params: Images) -> None:
        if params.side % 8:
            raise ValueError(f"params.yaml: images.side must be a multiple of 8, got {params.side}")
        pipeline, refiner, identity = load(params)
        if params.negative_prompt is not None and isinstance(pipeline, diffusers.FluxPipeline):
            raise ValueError(
                "params.yaml: images.negative_prompt must be null for a FluxPipeline: its guidance takes none"
            )
        self.params = params
        self.device = best_device()
        self.pipeline = tuned(pipeline.to(self.device))
        self.refiner = refiner and tuned(refiner.to(self.device))
        self.readers = readers(pipeline, params.max_sequence_length, params.long_prompts == "chunk")
        self.tokenizer = self.readers[0].tokenizer
        self._noise = _noise_shape(self.pipeline, params.side)
        self.inputs = identity | self._settings()
        self.fingerprint = digest(self.inputs)
        for steps in (params.steps, params.draft.steps) if params.draft else (params.steps,):
            if 0 in self._shares(steps):
                raise ValueError(
                    f"params.yaml: images.refiner.base_share must leave both base and refiner some of {steps} steps"
                )

    def _settings(self) -> dict[str, Any]:
        """Everything that changes pictures beside the files, spelled out; newer settings only where they are used."""
        settings = {
            "scheduler": told_scheduler(self.pipeline),
            "steps": self.params.steps,
            "guidance": self.params.guidance,
            "negative_prompt": self.params.negative_prompt,
            "side": self.params.side,
            "dtype": self.params.dtype,
            "format": self.params.format,
        }
        if self.params.max_sequence_length is not None:
            settings["max_sequence_length"] = self.params.max_sequence_length
        if self.params.long_prompts != "cut":
            settings["long_prompts"] = self.params.long_prompts
        if RECIPE > 1:
            settings["recipe"] = RECIPE
        return settings

    @cached_property
    def threads(self) -> int:
        """How many threads it paints with."""
        key, size = digest("probe"), self.params.batch
        steps = next(steps for steps in range(min(2, self.params.steps), 1001) if 0 not in self._shares(steps))
        return steady_threads(lambda: self._run([key] * size, ["a probe"] * size, steps))

    def paint(self, keys: Sequence[str], texts: Sequence[str], steps: int | None = None) -> np.ndarray:
        """Pictures [n, side, side, 3] in [0, 1] for at most one batch; what the pipeline raises comes through.

        In `steps` of the sampler, or in those of the params.
        """
        size = self.params.batch
        chunks = self._chunks(texts)
        pictures = np.empty((len(keys), self.params.side, self.params.side, 3), np.float32)
        with threads(self.threads):
            for count in sorted(set(chunks)):  # of one length, or the longest would change what the others are told
                places = [place for place, chunk in enumerate(chunks) if chunk == count]
                some, told = (filled([of[place] for place in places], size) for of in (keys, texts))
                pictures[places] = self._run(some, told, steps or self.params.steps, count)[: len(places)]
        return pictures

    def _chunks(self, texts: Sequence[str]) -> list[int]:
        return chunk_counts(self.readers, texts) if self.params.long_prompts == "chunk" else [1] * len(texts)

    def _run(self, keys: Sequence[str], texts: Sequence[str], steps: int, chunks: int = 1) -> np.ndarray:
        noise = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
        latents = torch.stack([torch.randn(self._noise, generator=source) for source in noise])
        if hasattr(self.pipeline, "_pack_latents"):
            latents = self.pipeline._pack_latents(latents, *latents.shape)
        sampler = {
            "num_inference_steps": steps,
            "guidance_scale": self.params.guidance,
            "generator": noise,  # some schedulers draw more noise on the way: it too comes from the key
        }
        given = {
            "height": self.params.side,
            "width": self.params.side,
            "latents": latents.to(self.device, getattr(torch, self.params.dtype)),
        }
        with torch.inference_mode():
            told = self._told(self.pipeline, texts, chunks)
            if self.refiner is None:
                return np.asarray(self.pipeline(**told, **sampler, **given, output_type="np").images)
            assert self.params.refiner
            share = self.params.refiner.base_share
            noisy = self.pipeline(**told, **sampler, **given, denoising_end=share, output_type="latent").images
            told = self._told(self.refiner, texts, chunks)
            return np.asarray(
                self.refiner(**told, **sampler, image=noisy, denoising_start=share, output_type="np").images
            )

    def _told(self, pipeline: diffusers.DiffusionPipeline, texts: Sequence[str], chunks: int) -> dict[str, Any]:
        """The arguments of a pipeline's call that say what to paint."""
        negative = self.params.negative_prompt
        if self.params.long_prompts == "chunk":
            return embeddings(pipeline, texts, chunks, negative, self.params.guidance > 1)
        call = inspect.signature(pipeline.__call__).parameters
        told: dict[str, Any] = {"prompt": list(texts)} | {
            name: value for name, value in MEDDLING.items() if name in call
        }
        if negative is not None:
            told["negative_prompt"] = [negative] * len(texts)
        if self.params.max_sequence_length is not None:
            told["max_sequence_length"] = self.params.max_sequence_length
        return told

    def _shares(self, steps: int) -> tuple[int, ...]:
        """How many of the steps are the base's, and the refiner's if there is one."""
        if self.params.refiner is None:
            return (steps,)
        scheduler, share = self.pipeline.scheduler, self.params.refiner.base_share
        scheduler.set_timesteps(steps)
        trained = scheduler.config.num_train_timesteps
        early = int((scheduler.timesteps >= round(trained - share * trained)).sum())  # as the pipelines cut
        return early, len(scheduler.timesteps) - early


def _noise_shape(pipeline: diffusers.DiffusionPipeline, side: int) -> tuple[int, int, int]:
    """Channels, height and width of one picture's latents."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    packed = hasattr(pipeline, "_pack_latents")
    if denoiser is None or (packed and not isinstance(pipeline, diffusers.FluxPipeline)):
        raise ValueError(
            f"params.yaml: images.generator: {type(pipeline).__name__} takes no latents [channels, height, width]; "
            "StableDiffusion, StableDiffusionXL, StableDiffusion3, PixArt and Flux pipelines do"
        )
    cells = side // pipeline.vae_scale_factor
    return denoiser.config.in_channels // (4 if packed else 1), cells, cells
