"""VQ tokenizer of an AmusedPipeline directory: pictures to tokens and tokens to pictures.

Pixels are in [0, 1] as aMUSEd's, or in the `pixel_range` of its configuration. It computes in float32: aMUSEd's own overflows
in half precision, and a codebook must not be rounded.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from synthpairs.core.storage import Slice
from synthpairs.models.hub import fetch_model, model_folder

if TYPE_CHECKING:
    from diffusers import VQModel

FOLDER = "vqvae"  # of an AmusedPipeline
WEIGHTS = f"{FOLDER}/diffusion_pytorch_model.safetensors"


@cache  # a branch must not be resolved to two commits in one run
def tokenizer_folder(name: str, key: str) -> Path:
    """Pipeline directory that the param `key` names; of a hub model the tokenizer alone is downloaded. Errors as model_folder."""
    if "@" not in name:
        return Path(name)
    wanted = (f"{FOLDER}/config.json", WEIGHTS, "transformer/config.json")
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


@dataclass(frozen=True, slots=True)
class TokenPicture:
    """A picture as VQ tokens, whose vectors are looked up when they are needed: they take 64 times the memory."""

    tokens: np.ndarray  # uint16 [rows, columns]
    codebook: np.ndarray  # float32 [token, channels]
    soft: Slice | None = None  # where float16 vectors [channels, rows, columns] are, in place of those of the codebook
    scale: tuple[np.ndarray, np.ndarray] | None = None  # factor and offset [channels, 1, 1] of soft vectors

    def vectors(self) -> np.ndarray:
        """Vectors [channels, rows, columns], float32."""
        if self.soft is None:
            return np.ascontiguousarray(np.moveaxis(self.codebook[self.tokens], -1, 0))
        vectors = np.frombuffer(self.soft.read(), "<f2").reshape(-1, *self.tokens.shape).astype(np.float32)
        return vectors if self.scale is None else vectors * self.scale[0] + self.scale[1]

    def pixels(self) -> Tensor:
        """What a vision tower takes in place of pixels: the vectors, bfloat16."""
        return torch.from_numpy(self.vectors()).to(torch.bfloat16)

    @property
    def digest(self) -> bytes:
        """Hash of the tokens and of where soft vectors are: a shard's name is a hash of the keys in it."""
        where = "" if self.soft is None else f"{self.soft.path.name} {self.soft.offset}"
        return hashlib.sha256(self.tokens.tobytes() + where.encode()).digest()


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
