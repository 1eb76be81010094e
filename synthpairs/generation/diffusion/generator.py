"""Text-to-image generation in which a picture is a function of its key.

Noise is drawn on the CPU in float32 from the key's seed, whatever the device, type, batch or worker. At one batch size on one
kind of machine a key gives the same bytes whatever else is in the batch (see synthpairs.core.determinism); another batch size
may change single colour values by one.
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch

from synthpairs.core.determinism import best_device, deterministic_threads, pad_batch, torch_threads
from synthpairs.core.schema import digest, noise_seed
from synthpairs.generation.diffusion.loading import load, scheduler_inputs
from synthpairs.generation.diffusion.params import RECIPE, Images
from synthpairs.generation.diffusion.prompts import chunk_counts, prompt_embeddings, prompt_tokenizers
from synthpairs.runtime.accelerator import tuned

# Switches off what some pipelines do to captions and sizes by default, in part only if an optional package is installed.
PIPELINE_OPTIONS = {"clean_caption": False, "use_resolution_binning": False}


class Generator:
    """A loaded pipeline with its settings; ValueError or OSError when it cannot be loaded."""

    def __init__(self, params: Images) -> None:
        if params.image_size % 8:
            raise ValueError(f"params.yaml: images.image_size must be a multiple of 8, got {params.image_size}")
        pipeline, refiner, identity = load(params)
        if params.negative_prompt is not None and isinstance(pipeline, diffusers.FluxPipeline):
            raise ValueError(
                "params.yaml: images.negative_prompt must be null for a FluxPipeline: its guidance takes none"
            )
        self.params = params
        self.device = best_device()
        self.pipeline = tuned(pipeline.to(self.device))
        self.refiner = refiner and tuned(refiner.to(self.device))
        self.tokenizers = prompt_tokenizers(pipeline, params.max_sequence_length, params.long_prompts == "chunk")
        self.tokenizer = self.tokenizers[0].tokenizer
        self._noise = _noise_shape(self.pipeline, params.image_size)
        self.inputs = identity | self._settings()
        self.fingerprint = digest(self.inputs)
        for steps in (
            (params.num_inference_steps, params.draft.num_inference_steps)
            if params.draft
            else (params.num_inference_steps,)
        ):
            if 0 in self._step_counts(steps):
                raise ValueError(
                    f"params.yaml: images.refiner.base_share must leave both base and refiner some of {steps} steps"
                )

    def _settings(self) -> dict[str, Any]:
        """Fingerprint inputs besides the models; settings added later have a key only where they are used."""
        settings = {
            "scheduler": scheduler_inputs(self.pipeline),
            "steps": self.params.num_inference_steps,
            "guidance": self.params.guidance_scale,
            "negative_prompt": self.params.negative_prompt,
            "side": self.params.image_size,
            "dtype": self.params.dtype,
            "format": self.params.format,
        }
        if self.params.quality is not None:
            settings["quality"] = self.params.quality
        if self.params.max_sequence_length is not None:
            settings["max_sequence_length"] = self.params.max_sequence_length
        if self.params.long_prompts != "cut":
            settings["long_prompts"] = self.params.long_prompts
        if RECIPE > 1:
            settings["recipe"] = RECIPE
        return settings

    @cached_property
    def threads(self) -> int:
        """Number of CPU threads with which a picture does not depend on its index in the batch."""
        key, size = digest("probe"), self.params.batch_size
        steps = next(
            steps for steps in range(min(2, self.params.num_inference_steps), 1001) if 0 not in self._step_counts(steps)
        )
        return deterministic_threads(lambda: self._run([key] * size, ["a probe"] * size, steps))

    def generate_images(self, keys: Sequence[str], texts: Sequence[str], steps: int | None = None) -> np.ndarray:
        """Pictures [n, side, side, 3] in [0, 1] for at most one batch, in `steps` or those of params.

        Exceptions of the pipeline are not caught.
        """
        chunked = self.params.long_prompts == "chunk"
        chunks = chunk_counts(self.tokenizers, texts) if chunked else [1] * len(texts)
        pictures = np.empty((len(keys), self.params.image_size, self.params.image_size, 3), np.float32)
        with torch_threads(self.threads):
            for count in sorted(set(chunks)):  # separately: padding to the longest would change the shorter ones
                rows = [row for row, chunk in enumerate(chunks) if chunk == count]
                batch_keys = pad_batch([keys[row] for row in rows], self.params.batch_size)
                batch_texts = pad_batch([texts[row] for row in rows], self.params.batch_size)
                pictures[rows] = self._run(batch_keys, batch_texts, steps or self.params.num_inference_steps, count)[
                    : len(rows)
                ]
        return pictures

    def _run(self, keys: Sequence[str], texts: Sequence[str], steps: int, chunks: int = 1) -> np.ndarray:
        noise = [torch.Generator().manual_seed(noise_seed(key)) for key in keys]
        latents = torch.stack([torch.randn(self._noise, generator=source) for source in noise])
        if hasattr(self.pipeline, "_pack_latents"):
            latents = self.pipeline._pack_latents(latents, *latents.shape)
        sampler = {
            "num_inference_steps": steps,
            "guidance_scale": self.params.guidance_scale,
            "generator": noise,  # some schedulers draw further noise: it also comes from the key
        }
        start = {
            "height": self.params.image_size,
            "width": self.params.image_size,
            "latents": latents.to(self.device, getattr(torch, self.params.dtype)),
        }
        with torch.inference_mode():
            prompt = self._prompt_arguments(self.pipeline, texts, chunks)
            if self.refiner is None:
                return np.asarray(self.pipeline(**prompt, **sampler, **start, output_type="np").images)
            assert self.params.refiner
            share = self.params.refiner.base_share
            noisy = self.pipeline(**prompt, **sampler, **start, denoising_end=share, output_type="latent").images
            prompt = self._prompt_arguments(self.refiner, texts, chunks)
            return np.asarray(
                self.refiner(**prompt, **sampler, image=noisy, denoising_start=share, output_type="np").images
            )

    def _prompt_arguments(
        self, pipeline: diffusers.DiffusionPipeline, texts: Sequence[str], chunks: int
    ) -> dict[str, Any]:
        negative = self.params.negative_prompt
        if self.params.long_prompts == "chunk":
            return prompt_embeddings(pipeline, texts, chunks, negative, self.params.guidance_scale > 1)
        known = inspect.signature(pipeline.__call__).parameters
        arguments: dict[str, Any] = {name: value for name, value in PIPELINE_OPTIONS.items() if name in known}
        arguments["prompt"] = list(texts)
        if negative is not None:
            arguments["negative_prompt"] = [negative] * len(texts)
        if self.params.max_sequence_length is not None:
            arguments["max_sequence_length"] = self.params.max_sequence_length
        return arguments

    def _step_counts(self, steps: int) -> tuple[int, ...]:
        """How many of the steps the base does, and the refiner if there is one."""
        if self.params.refiner is None:
            return (steps,)
        scheduler, share = self.pipeline.scheduler, self.params.refiner.base_share
        scheduler.set_timesteps(steps)
        trained = scheduler.config.num_train_timesteps
        early = int((scheduler.timesteps >= round(trained - share * trained)).sum())  # as in the pipelines
        return early, len(scheduler.timesteps) - early


def _noise_shape(pipeline: diffusers.DiffusionPipeline, side: int) -> tuple[int, int, int]:
    """Channels, height and width of a picture's latents."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    packed = hasattr(pipeline, "_pack_latents")
    if denoiser is None or (packed and not isinstance(pipeline, diffusers.FluxPipeline)):
        raise ValueError(
            f"params.yaml: images.generator: {type(pipeline).__name__} takes no latents [channels, height, width]; "
            "StableDiffusion, StableDiffusionXL, StableDiffusion3, PixArt and Flux pipelines do"
        )
    cells = side // pipeline.vae_scale_factor
    return denoiser.config.in_channels // (4 if packed else 1), cells, cells
