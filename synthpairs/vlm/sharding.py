"""Dividing a model among processes (FSDP2), and putting it together again to be written."""

import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlavaForConditionalGeneration

from synthpairs.runtime.launch import leads, processes, switched_on


def sharded() -> bool:
    """Whether SYNTHPAIRS_FSDP asks for it; ValueError when there are no processes to divide a model among."""
    if not switched_on("SYNTHPAIRS_FSDP"):
        return False
    if processes() == 1:
        raise ValueError("SYNTHPAIRS_FSDP=on needs several processes: set SYNTHPAIRS_LAUNCH too")
    return True


def layers_to_shard(vlm: LlavaForConditionalGeneration) -> list[str]:
    """Class names of the language model's layers, each of which is gathered when it is needed.

    The rest, the eye among it, is gathered once a step: a process whose examples have no pictures does not call the eye, and
    the others would wait for it. ValueError for an eye that must stay in float32, which a divided model does not, and for
    weights of four bits, which are bytes and no numbers to divide.
    """
    if vlm._keep_in_fp32_modules_strict:
        raise ValueError("SYNTHPAIRS_FSDP=on is for the arms of pictures: the eye of codes cannot be cast to bfloat16")
    if getattr(vlm.model.language_model, "is_loaded_in_4bit", False):
        raise ValueError(
            "SYNTHPAIRS_FSDP=on divides no quantised model: params.yaml: finetune.lora.quantize must be null"
        )
    return sorted(vlm.model.language_model._no_split_modules)


@torch.no_grad()
def gather(model: nn.Module) -> None:
    """Put whole weights in place of this process's parts: in the first process, on its CPU. All must call it."""
    whole: dict[int, nn.Parameter] = {}
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, DTensor) and id(weight) not in whole:
                full = weight.full_tensor()
                kept = full.cpu() if leads() else full.new_empty(0)
                whole[id(weight)] = nn.Parameter(kept, requires_grad=weight.requires_grad)
            if id(weight) in whole:
                module._parameters[name] = whole[id(weight)]
