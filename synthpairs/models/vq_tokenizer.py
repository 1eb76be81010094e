"""The VQ tokenizer in an AmusedPipeline directory, by which pictures become codes and codes pictures.

Pictures enter and leave it in one range, [0, 1] as aMUSEd's; another one stands as `pixel_range` in its configuration.
It works in float32: aMUSEd's own overflows in half precision, and of a codebook nothing is to be rounded off.
"""

import json
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from synthpairs.models.hub import fetch_model, model_folder

if TYPE_CHECKING:
    from diffusers import VQModel

FOLDER = "vqvae"  # where an AmusedPipeline keeps it


@cache  # a branch must not be resolved to two commits in one run
def tokenizer_folder(name: str, key: str) -> Path:
    """The pipeline directory that the param `key` names; of a hub model the tokenizer alone is fetched. Errors as the hub's."""
    if "@" not in name:
        return Path(name)
    wanted = (f"{FOLDER}/config.json", f"{FOLDER}/diffusion_pytorch_model.safetensors", "transformer/config.json")
    return model_folder(name, key, partial(fetch_model, files=wanted))


def load_tokenizer(pipeline: Path, key: str) -> "VQModel":
    """The VQ model of the directory that the param `key` names, in evaluation mode, on the CPU; FileNotFoundError without one."""
    # Seconds to import, and the arms of pictures only ask for a folder here.
    from diffusers import VQModel

    from synthpairs.models.diffusion_pipeline import quieten

    quieten()
    return VQModel.from_pretrained(
        _holding(pipeline, key), torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    ).eval()


def read_codebook(pipeline: Path, key: str) -> np.ndarray:
    """Its codebook, float32 [codes, channels], without the rest; errors as load_tokenizer's."""
    with safe_open(_holding(pipeline, key) / "diffusion_pytorch_model.safetensors", "numpy") as weights:
        return weights.get_tensor("quantize.embedding.weight").astype(np.float32)


def picture_side(pipeline: Path, vq: "VQModel") -> int:
    """Pixels of the square pictures that the pipeline's generator fills in codes for."""
    grid = json.loads((pipeline / "transformer/config.json").read_bytes())["sample_size"]
    return grid * 2 ** (len(vq.config.block_out_channels) - 1)


def pixel_range(vq: "VQModel") -> tuple[float, float]:
    """What black and white are to it."""
    low, high = vq.config.get("pixel_range", (0.0, 1.0))
    return low, high


def latents(vq: "VQModel", pictures: Tensor) -> Tensor:
    """What it makes of pictures uint8 [n, 3, side, side] before it looks for codes: float32 [n, channels, rows, columns]."""
    low, high = pixel_range(vq)
    return vq.encode((low + high) / 2 + (high - low) / 2 * (pictures.to(vq.device).float() / 127.5 - 1)).latents


@torch.inference_mode()
def render(vq: "VQModel", tokens: np.ndarray) -> Tensor:
    """Pictures [n, 3, side, side] in [0, 1], on its device, of tokens [n, rows, columns]; ValueError beyond the codebook."""
    if tokens.max() >= vq.config.num_vq_embeddings:
        raise ValueError(f"token {tokens.max()} lies beyond the codebook of {vq.config.num_vq_embeddings}")
    low, high = pixel_range(vq)
    codes = torch.from_numpy(tokens.astype(np.int64)).to(vq.device)
    pixels = vq.decoder(vq.post_quant_conv(vq.quantize.embedding(codes).permute(0, 3, 1, 2)))
    return ((pixels - low) / (high - low)).clamp(0, 1)


def _holding(pipeline: Path, key: str) -> Path:
    folder = pipeline / FOLDER
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}/config.json is missing: {key} must be an AmusedPipeline directory")
    return folder
