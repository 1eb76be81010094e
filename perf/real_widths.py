"""One forward pass of each large model at its real widths: shapes, memory, seconds. `python -m perf.real_widths`, 12 GB."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

Model = tuple[Callable[[], torch.nn.Module], dict[str, Any]]  # what builds it, and its inputs
LATENTS = 128  # cells a side of SDXL's latents at 1024 pixels
TOKENS = 2048  # of a conversation


def unet() -> Model:
    """SDXL base's denoiser with what it is conditioned on."""
    build = partial(
        UNet2DConditionModel,
        sample_size=LATENTS,
        block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
        use_linear_projection=True,
    )
    added = {"text_embeds": torch.zeros(1, 1280), "time_ids": torch.zeros(1, 6)}
    latents, text = torch.zeros(1, 4, LATENTS, LATENTS), torch.zeros(1, 77, 2048)
    return build, {"sample": latents, "timestep": 500, "encoder_hidden_states": text, "added_cond_kwargs": added}


def vicuna() -> Model:
    """Two of the 32 layers of Vicuna 7B, and a conversation as long as may be."""
    sizes = {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000}
    config = LlamaConfig(**sizes, num_hidden_layers=2, max_position_embeddings=4096)
    return partial(LlamaForCausalLM, config), {"input_ids": torch.zeros(1, TOKENS, dtype=torch.long)}


def tower() -> Model:
    """CLIP ViT-L/14's image half at 336 pixels."""
    sizes = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
    config = CLIPVisionConfig(**sizes, image_size=336, patch_size=14)
    return partial(CLIPVisionModel, config), {"pixel_values": torch.zeros(1, 3, 336, 336)}


MODELS = {"unet": unet, "vicuna": vicuna, "tower": tower}


@torch.inference_mode()
def measure(name: str) -> None:
    """Print a model's line; its weights are equal numbers, so that none is drawn."""
    build, inputs = MODELS[name]()
    with torch.device("meta"):
        model = build()
    model = model.to_empty(device="cpu").eval()
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.fill_(0.01 if tensor.is_floating_point() else 0)
    started = time.perf_counter()
    output = model(**inputs)[0]
    seconds = time.perf_counter() - started
    weights = sum(weight.numel() for weight in model.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name}: {weights / 1e9:.2f} billion weights, out {list(output.shape)}, {seconds:.1f} s, {peak:.1f} GiB at most"
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        measure(sys.argv[1])
    else:  # each in a process of its own, whose peak is its own
        for model_name in MODELS:
            subprocess.run([sys.executable, "-m", "perf.real_widths", model_name], check=True)
