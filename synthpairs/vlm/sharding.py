"""Sharding of a model among processes (FSDP2), and gathering it to be written."""

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlavaForConditionalGeneration

from synthpairs.runtime.launch import is_main_process, processes
from synthpairs.runtime.settings import load_runtime


def sharded() -> bool:
    """Whether SYNTHPAIRS_FSDP is on; ValueError when it is and there is one process only."""
    if not load_runtime().fsdp:
        return False
    if processes() == 1:
        raise ValueError("SYNTHPAIRS_FSDP=on needs several processes: set SYNTHPAIRS_LAUNCH too")
    return True


def layers_to_shard(vlm: LlavaForConditionalGeneration, section: str) -> list[str]:
    """Class names of the language model's layers, each of which is gathered when it is needed.

    The rest, with the vision tower, is gathered once a step: a process whose examples have no pictures does not call the vision
    tower, and the others would wait for it. ValueError for a vision tower that must stay in float32 and for weights of 4 bits,
    which cannot be sharded.
    """
    if vlm._keep_in_fp32_modules_strict:
        raise ValueError("SYNTHPAIRS_FSDP=on: a VQ tokenizer as vision tower cannot be cast to bfloat16; set it to off")
    if getattr(vlm.model.language_model, "is_loaded_in_4bit", False):
        raise ValueError(
            f"SYNTHPAIRS_FSDP=on shards no quantised model: params.yaml: {section}.lora.quantize must be null"
        )
    return sorted(vlm.model.language_model._no_split_modules)


@torch.no_grad()
def gather(model: nn.Module) -> None:
    """Replace this process's shards by whole weights: in the first process, on its CPU. All must call it."""
    whole: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, DTensor) and id(weight) not in whole:
                full = weight.full_tensor()
                kept = full.cpu() if is_main_process() else full.new_empty(0)
                whole[id(weight)] = nn.Parameter(kept, requires_grad=weight.requires_grad)
            if id(weight) in whole:
                module._parameters[name] = whole[id(weight)]
