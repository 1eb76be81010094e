"""Faster kernels for a pipeline, if the engine's settings want them; they move low bits of its results, so it is recorded."""

from typing import Any, TypeVar

import torch

from synthpairs.runtime.engine.engine import Engine, load_engine

Pipeline = TypeVar("Pipeline")  # of diffusers, whose import takes seconds


def tuned(pipeline: Pipeline) -> Pipeline:
    """The same pipeline, its denoiser and decoder laid out and compiled as engine.yaml says (by default, as they were)."""
    engine = load_engine()
    for name in ("unet", "transformer", "vae"):
        part = getattr(pipeline, name, None)
        if part is not None and engine.channels_last:
            part.to(memory_format=torch.channels_last)
        if part is not None and engine.compile and name != "vae":
            part.compile()
    return pipeline


def told(engine: Engine) -> dict[str, Any]:
    """What of the settings moves low bits, by name; empty by default."""
    return {name: True for name in ("compile", "channels_last") if getattr(engine, name)}
