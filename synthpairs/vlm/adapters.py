"""Low-rank adapters on the language model: LoRA (arXiv 2106.09685), and QLoRA over 4-bit weights (arXiv 2305.14314).

QLoRA holds half a byte for each frozen weight instead of two; the written model is in bfloat16 all the same.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import BitsAndBytesConfig, LlavaForConditionalGeneration, PreTrainedModel

from synthpairs.core.determinism import best_device, compute_dtype
from synthpairs.runtime.launch import local_rank
from synthpairs.vlm.model import seeded
from synthpairs.vlm.params import Lora


def check_quantizer(lora: Lora, section: str) -> None:
    """ValueError when `section` of params.yaml asks for quantisation and bitsandbytes is not installed."""
    if lora.quantize is None:
        return
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ValueError(
            f"params.yaml: {section}.lora.quantize: {lora.quantize} needs the package bitsandbytes: "
            "pip install 'bitsandbytes>=0.49', or set it to null"
        ) from None


def adapt(model: LlavaForConditionalGeneration, lora: Lora, layers: Sequence[int], seed: int) -> None:
    """Freeze the language model and add float32 adapters to these layers of it, in place, initialised from `seed`."""
    model.lm_head.requires_grad_(False)
    llm = model.model.language_model
    with seeded(seed):
        model.model.language_model = _with_adapters(llm if lora.quantize is None else _quantised(llm), lora, layers)


def merged(
    model: LlavaForConditionalGeneration,
    lora: Lora,
    layers: Sequence[int],
    assembled: Callable[[], LlavaForConditionalGeneration],
) -> LlavaForConditionalGeneration:
    """The model with its adapters merged into the language model, which is then in float32.

    Adapters of a quantised model are merged into weights of full precision: `assembled` makes the model as it was before the
    training, on the CPU, and it gets the trained projector too.
    """
    adapted = model.model.language_model
    if lora.quantize is not None:
        from peft import get_peft_model_state_dict, set_peft_model_state_dict

        # Saving embedding layers would ask the hub whether they grew.
        trained = get_peft_model_state_dict(adapted, save_embedding_layers=False)
        projector, model = model.model.multi_modal_projector.cpu(), assembled()
        model.model.multi_modal_projector = projector
        adapted = _with_adapters(model.model.language_model, lora, layers)
        set_peft_model_state_dict(adapted, trained)
    model.model.language_model = adapted.float().merge_and_unload()
    return model


def _with_adapters(llm: PreTrainedModel, lora: Lora, layers: Sequence[int]) -> Any:
    """The language model as a PeftModel with new adapters on every linear layer of these blocks."""
    from peft import LoraConfig, get_peft_model  # takes seconds to import

    # PEFT's layers_to_transform takes no model whose blocks are its own attribute.
    linear = [
        f"layers.{layer}.{name}"
        for layer in layers
        for name, module in llm.layers[layer].named_modules()
        if isinstance(module, torch.nn.Linear)
    ]
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=linear)
    return get_peft_model(llm, config)


def _quantised(llm: PreTrainedModel) -> PreTrainedModel:
    """A frozen copy on this process's device: linear layers in NormalFloat, their scales quantised too, the rest in float32.

    Made from the model in memory: its files lack a merged adapter and an added token's embedding.
    """
    from peft import prepare_model_for_kbit_training

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype(),  # as the training
    )
    device = best_device()
    copied = type(llm).from_pretrained(
        None,
        config=copy.deepcopy(llm.config),  # from_pretrained adds the quantisation to it
        state_dict=llm.state_dict(),
        dtype=compute_dtype(),
        quantization_config=quantization,
        device_map={"": torch.device(device.type, local_rank()) if device.type == "cuda" else device},
    )
    # Activations are checkpointed where SYNTHPAIRS_RECOMPUTE is on, see `train`.
    return prepare_model_for_kbit_training(copied, use_gradient_checkpointing=False)
