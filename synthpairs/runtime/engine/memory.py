"""An accelerator that runs out of memory: how to tell, and what to do before trying again with less."""

import gc

import torch

SAYINGS = ("out of memory", "alloc_failed")  # of drivers and of libraries that allocate by themselves, cuBLAS for one


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that there was not enough of an accelerator's memory, and not that anything is broken."""
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(saying in str(error).lower() for saying in SAYINGS)


def free() -> None:
    """Give back what a failed attempt has left."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
