"""Accelerators: faster kernels where the settings ask for them, and running out of memory."""

import gc
from typing import Any, TypeVar

import torch

from synthpairs.runtime.settings import Runtime, load_runtime

Pipeline = TypeVar("Pipeline")  # of diffusers, whose import takes seconds
OUT_OF_MEMORY = ("out of memory", "alloc_failed")  # in messages of drivers and of libraries such as cuBLAS


def tuned(pipeline: Pipeline) -> Pipeline:
    """The pipeline with the memory layout and compilation that runtime.yaml asks for; unchanged by default."""
    settings = load_runtime()
    for name in ("unet", "transformer", "vae"):
        part = getattr(pipeline, name, None)
        if part is not None and settings.channels_last:
            part.to(memory_format=torch.channels_last)
        if part is not None and settings.compile and name != "vae":
            part.compile()
    return pipeline


def tuning_flags(settings: Runtime) -> dict[str, Any]:
    """The settings in force that change low bits of results; empty by default."""
    return {name: True for name in ("compile", "channels_last") if getattr(settings, name)}


def out_of_memory(error: BaseException) -> bool:
    """Whether an accelerator's memory was too small, as opposed to something being broken."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in OUT_OF_MEMORY)


def free_memory() -> None:
    """Release the memory that a failed attempt has left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
