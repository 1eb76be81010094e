"""VQ tokenizer of an AmusedPipeline directory: pictures to tokens and tokens to pictures.

Pixels are in [0, 1] as aMUSEd's, or in the `pixel_range` of its configuration. It computes in float32: aMUSEd's own overflows
in half precision, and a codebook must not be rounded.
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

FOLDER = "vqvae"  # of an AmusedPipeline


@cache  # a branch must not be resolved to two commits in one run
def tokenizer_folder(name: str, key: str) -> Path:
    """Pipeline directory that the param `key` names; of a hub model the tokenizer alone is downloaded. Errors as model_folder."""
    if "@" not in name:
        return Path(name)
    wanted = (f"{FOLDER}/config.json", f"{FOLDER}/diffusion_pytorch_model.safetensors", "transformer/config.json")
    return model_folder(name, key, partial(fetch_model, files=wanted))


def load_tokenizer(pipeline: Path, key: str) -> "VQModel":
    """The VQModel of a directory in evaluation mode, on the CPU; FileNotFoundError names `key` when there is none."""
    from diffusers import VQModel  # takes seconds to import

    from synthpairs.models.diffusion_pipeline import quieten

    quieten()
    return VQModel.from_pretrained(
        _tokenizer_path(pipeline, key), torch_dtype=torch.float32, use_safetensors=True, local_files_only=True
    ).eval()


def read_codebook(pipeline: Path, key: str) -> np.ndarray:
    """The codebook alone, float32 [token, channels]; errors as load_tokenizer's."""
    with safe_open(_tokenizer_path(pipeline, key) / "diffusion_pytorch_model.safetensors", "numpy") as weights:
        return weights.get_tensor("quantize.embedding.weight").astype(np.float32)


def picture_side(pipeline: Path, vq: "VQModel") -> int:
    """Side in pixels of the pictures whose tokens the pipeline's generator makes."""
    grid = json.loads((pipeline / "transformer/config.json").read_bytes())["sample_size"]
    return grid * 2 ** (len(vq.config.block_out_channels) - 1)


def pixel_range(vq: "VQModel") -> tuple[float, float]:
    """Pixel values of black and white."""
    low, high = vq.config.get("pixel_range", (0.0, 1.0))
    return low, high


def latents(vq: "VQModel", pictures: Tensor) -> Tensor:
    """Encoder output before quantisation, float32 [n, channels, rows, columns], of pictures uint8 [n, 3, side, side]."""
    low, high = pixel_range(vq)
    return vq.encode((low + high) / 2 + (high - low) / 2 * (pictures.to(vq.device).float() / 127.5 - 1)).latents


@torch.inference_mode()
def render(vq: "VQModel", tokens: np.ndarray) -> Tensor:
    """Decoded pictures [n, 3, side, side] in [0, 1], on the tokenizer's device, of tokens [n, rows, columns].

    ValueError for a token beyond the codebook.
    """
    if tokens.max() >= vq.config.num_vq_embeddings:
        raise ValueError(f"token {tokens.max()} lies beyond the codebook of {vq.config.num_vq_embeddings}")
    low, high = pixel_range(vq)
    indices = torch.from_numpy(tokens.astype(np.int64)).to(vq.device)
    pixels = vq.decoder(vq.post_quant_conv(vq.quantize.embedding(indices).permute(0, 3, 1, 2)))
    return ((pixels - low) / (high - low)).clamp(0, 1)


def _tokenizer_path(pipeline: Path, key: str) -> Path:
    folder = pipeline / FOLDER
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{folder}/config.json is missing: {key} must be an AmusedPipeline directory")
    return folder
