"""GPU memory of stages in bytes of one GPU, calculated from constants of rates.py. Does not import torch."""

from synthpairs.cli.estimate import rates
from synthpairs.generation.diffusion.params import Images
from synthpairs.runtime.settings import Runtime
from synthpairs.vlm.params import Finetune, Training


def generation(images: Images) -> float:
    """GPU memory of SDXL: weights and a batch, which is halved where it does not fit."""
    image = rates.IMAGE_MEMORY if images.vae else rates.IMAGE_MEMORY_FLOAT32
    return rates.CUDA_MEMORY + sdxl_weights(images) + images.batch_size * image * images.image_size**2 / 1024**2


def sdxl_weights(images: Images) -> float:
    """Bytes of SDXL's weights, with the refiner's where there is one."""
    parameters = rates.SDXL_PARAMETERS + (rates.REFINER_PARAMETERS if images.refiner else 0)
    return parameters * (4 if images.dtype == "float32" else 2)


def answering(parameters: float, tokens: float) -> float:
    """GPU memory of a language model in bfloat16, with keys and values of the tokens of a batch."""
    layers, width = _llama(parameters)
    return rates.CUDA_MEMORY + 2 * parameters + tokens * layers * width * 2 * 2


def training(section: Training, parameters: float, runtime: Runtime) -> tuple[float, float]:
    """GPU memory of a training under bfloat16 autocast: what each GPU holds, and what FSDP divides among all of them.

    The longest micro-batch counts; all layers count as trained.
    """
    casts, tokens = 0.0, section.max_length
    if not isinstance(section, Finetune):  # the projector's own 0.3 GB are within the error
        weights, tokens = 2 * parameters, min(tokens, rates.PAIR_TOKENS)
    elif section.lora:
        adapters = rates.LORA_SHARE * section.lora.rank * parameters
        weights = (rates.NF4_BYTES if section.lora.quantize else 2) * parameters + rates.TRAINED_BYTES * adapters
    else:
        weights, casts = rates.TRAINED_BYTES * parameters, 2 * parameters
    layers, width = _llama(parameters)
    # Recomputing keeps the inputs of layers, in bfloat16, and one layer's activations.
    activations = 2 * layers + rates.LAYER_BYTES if runtime.recompute else rates.LAYER_BYTES * layers
    held = rates.CUDA_MEMORY + rates.TOWER_MEMORY + section.micro_batch_size * tokens * width * activations
    return (held, weights) if runtime.fsdp else (held + weights + casts, 0.0)


def _llama(parameters: float) -> tuple[float, float]:
    """Layers and width of a Llama of so many parameters: 12 x layers x width^2, 128 times as wide as deep as 7B and 13B are."""
    layers = (parameters / 12 / 128**2) ** (1 / 3)
    return layers, 128 * layers
