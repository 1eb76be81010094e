"""Low-rank adapters on the language model, over its weights as they are or in four bits: LoRA (2106.09685), QLoRA (2305.14314).

A quantised training holds half a byte for each frozen weight instead of two; what it writes is in bfloat16 like any other.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration, PreTrainedModel

from synthpairs.core.determinism import best_device, compute_dtype
from synthpairs.runtime.launch import local_rank
from synthpairs.vlm.model import seeded
from synthpairs.vlm.params import Lora


def check_quantizer(lora: Lora, section: str) -> None:
    """ValueError when these adapters, of a section of params.yaml, want a package that is not installed."""
    if lora.quantize is None:
        return
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ValueError(
            f"params.yaml: {section}.lora.quantize: {lora.quantize} needs the package bitsandbytes: "
            "pip install 'bitsandbytes>=0.49', or set it to null"
        ) from None


def adapt(model: LlavaForConditionalGeneration, lora: Lora, seed: int) -> None:
    """Freeze the language model and put adapters on it, in place, drawn from `seed` and in float32."""
    model.lm_head.requires_grad_(False)
    llm = model.model.language_model
    with seeded(seed):
        model.model.language_model = _adapted(llm if lora.quantize is None else _in_four_bits(llm), lora)


def merged(
    model: LlavaForConditionalGeneration, lora: Lora, assembled: Callable[[], LlavaForConditionalGeneration]
) -> LlavaForConditionalGeneration:
    """The model without adapters: they are added to the language model, which is then in float32.

    Of a quantised one four bits are too few to be added to: `assembled` is asked for the model as it was before the training,
    on the CPU, and gets the projector too.
    """
    adapted = model.model.language_model
    if lora.quantize is not None:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        # With the embedding layers a hub would be asked whether they grew.
        trained = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        projector, model = model.model.multi_modal_projector.cpu(), assembled()
        model.model.multi_modal_projector = projector
        adapted = _adapted(model.model.language_model, lora)
        set_peft_model_state_dict(adapted, trained)
    model.model.language_model = adapted.float().merge_and_unload()
    return model


def _adapted(llm: PreTrainedModel, lora: Lora) -> Any:
    """The language model in peft's frame, adapters drawn anew."""
    from peft import LoraConfig, get_peft_model  # takes seconds to import

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear")
    return get_peft_model(llm, config)


def _in_four_bits(llm: PreTrainedModel) -> PreTrainedModel:
    """A copy on this process's device, frozen: linear layers in NormalFloat, their scales quantised too, the rest in float32.

    It is read from the model at hand and not from its files, which lack a merged adapter and a new word's embedding.
    """
    from peft import prepare_model_for_kbit_training

    how = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype(),  # as the training
    )
    device = best_device()
    quantised = type(llm).from_pretrained(
        None,
        config=copy.deepcopy(llm.config),  # which would be told of the four bits, and is written with the result
        state_dict=llm.state_dict(),
        dtype=compute_dtype(),
        quantization_config=how,
        device_map={"": torch.device(device.type, local_rank()) if device.type == "cuda" else device},
    )
    # Whether activations are computed twice is the training's to say (Learner.recompute).
    return prepare_model_for_kbit_training(quantised, use_gradient_checkpointing=False)
