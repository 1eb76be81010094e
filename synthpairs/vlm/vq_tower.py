"""VQ tokens vision tower and Perceiver Resampler: LLaVA's architecture on the Synth2 route.

In Synth2 (arXiv 2403.07750, section 3.2) the vision-language model shares the image generator's VQ tokenizer as its vision
tower, so that a generated picture need not be decoded: its codebook vectors are the tower's features. A Perceiver Resampler
(Flamingo, arXiv 2204.14198) maps them to a fixed number of tokens. With a table of words each of these tokens is a mixture of
word embeddings: every latent attends to some of the language model's own input embeddings, so it can be pretrained without the
language model (`synthpairs.vlm.resampler_pretraining`).
"""

from typing import Any

import torch
from diffusers import VQModel
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import (
    AutoConfig,
    AutoModel,
    IdeficsConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.idefics.perceiver import IdeficsPerceiverResampler

from synthpairs.models.vq_tokenizer import load_tokenizer, picture_side, pixel_range, tokenizer_folder
from synthpairs.vlm.params import Resampler


class VqTowerConfig(PreTrainedConfig):
    """Configuration of the tower: its VQModel's, its grid, and the resampler's sizes; no words: 0."""

    model_type = "vq_codes"
    vq: dict | None = None
    side: int = 0  # pixels of a picture
    pixel_range: tuple[float, float] = (0.0, 1.0)  # of black and white
    hidden_size: int = 0  # channels of a codebook vector
    cells: int = 0  # of the grid, rows x columns
    latents: int = 0
    width: int = 0
    heads: int = 0
    depth: int = 0
    words: int = 0


class VqTower(PreTrainedModel):
    """VQ tokenizer's encoder as a vision tower, frozen, in float32: in half precision other tokens are nearest.

    Takes pictures [n, 3, side, side] in its range or codebook vectors [n, channels, rows, columns]; gives vectors
    [n, cells, channels] as its one hidden state.
    """

    config_class = VqTowerConfig
    main_input_name = "pixel_values"

    def __init__(self, config: VqTowerConfig) -> None:
        super().__init__(config)
        self.vq = VQModel.from_config(config.vq)
        del self.vq.decoder, self.vq.post_quant_conv
        self.post_init()

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Codebook vectors of pictures, or the given codebook vectors."""
        vectors = pixel_values if pixel_values.shape[1] == self.config.hidden_size else self.encode(pixel_values)
        features = vectors.flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(last_hidden_state=features, hidden_states=(features,))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Codebook vectors [n, channels, rows, columns] of pictures."""
        with torch.autocast(pixels.device.type, enabled=False):
            return self.vq.quantize(self.vq.encode(pixels.float()).latents)[0]


class PerceiverResampler(nn.Module):
    """Perceiver Resampler from codebook vectors [n, cells, channels] to tokens [n, latents, width of the language model].

    Without words it is Flamingo's, followed by a linear layer; with words that layer makes the queries to their table, and a
    neighbourhood of cells enters each latent's context. Attributes are named as the saved tensors.
    """

    middle: Tensor
    spread: Tensor

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__()
        sizes = config.vision_config
        side = round(sizes.cells**0.5)
        self.grid = nn.Unflatten(1, (side, sizes.cells // side))
        if sizes.words:
            self.look = nn.Sequential(
                nn.Conv2d(sizes.hidden_size, sizes.width, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(sizes.width, sizes.width, 3, padding=1),
            )
        else:
            self.look = nn.Sequential(nn.Conv2d(sizes.hidden_size, sizes.width, 1))
        self.places = nn.Parameter(0.02 * torch.randn(sizes.cells, sizes.width))  # position embedding
        flamingo = IdeficsConfig(vision_config={"embed_dim": sizes.width}, perceiver_config={"use_resampler": True})
        self.resample = IdeficsPerceiverResampler(
            flamingo, sizes.width, sizes.depth, sizes.heads, sizes.width // sizes.heads, sizes.latents
        )
        hidden = config.text_config.hidden_size
        self.ask = nn.Linear(sizes.width, hidden)
        self.words = nn.Parameter(torch.zeros(sizes.words, hidden)) if sizes.words else None
        # Mean and standard deviation of the codebook: the layers get the same scale whatever the codebook's.
        self.register_buffer("middle", torch.zeros(sizes.hidden_size))
        self.register_buffer("spread", torch.ones(sizes.hidden_size))

    @torch.no_grad()
    def prepare(self, codebook: Tensor, words: Tensor) -> None:
        """Set the codebook's scale, and embeddings [n, width] as the first rows of the word table; the others are zero."""
        self.middle.copy_(codebook.mean(0))
        self.spread.copy_(codebook.std(0))
        if self.words is not None:
            self.words.zero_()
            self.words[: len(words)] = words[: len(self.words)]

    def _latents(self, vectors: Tensor) -> Tensor:
        normalised = self.grid((vectors - self.middle) / self.spread).permute(0, 3, 1, 2)
        context = self.look(normalised.to(self.places.dtype)).flatten(2).transpose(1, 2) + self.places
        return self.ask(self.resample(context))

    def log_probs(self, vectors: Tensor) -> Tensor:
        """Log-probability of each word in each token, float32 [n, latents, words]."""
        assert self.words is not None
        scale = self.words.float().std() * self.words.shape[1] ** 0.5
        return F.log_softmax((self._latents(vectors) @ self.words.T).float() / scale, dim=-1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Tokens."""
        if self.words is None:
            return self._latents(vectors)
        return self.log_probs(vectors).exp().to(self.words.dtype) @ self.words


class VqLlava(LlavaForConditionalGeneration):
    """LLaVA with a VQ tokenizer as vision tower and a PerceiverResampler as projector. Saved configs have this class's name."""

    _keep_in_fp32_modules_strict = frozenset({"vision_tower"})

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__(config)
        self.model.multi_modal_projector = PerceiverResampler(config)
        self.post_init()

    @property
    def dtype(self) -> torch.dtype:
        """The language model's, in which all but the vision tower is stored; transformers would take the first weight's."""
        return self.lm_head.weight.dtype


AutoConfig.register(VqTowerConfig.model_type, VqTowerConfig)
AutoModel.register(VqTowerConfig, VqTower)


def load_vq_tower(resampler: Resampler) -> VqTower:
    """The vision tower of an AmusedPipeline's tokenizer; FileNotFoundError or ValueError names the param that is wrong."""
    width, heads = resampler.hidden_size, resampler.num_heads
    if width % heads:
        raise ValueError(f"params.yaml: resampler.hidden_size must be a multiple of num_heads, got {width} and {heads}")
    pipeline = tokenizer_folder(resampler.tokenizer, "resampler.tokenizer")
    vq = load_tokenizer(pipeline, "params.yaml: resampler.tokenizer")
    side, downscale = picture_side(pipeline, vq), 2 ** (len(vq.config.block_out_channels) - 1)
    config = VqTowerConfig(
        vq={name: value for name, value in vq.config.items() if not name.startswith("_") and name != "pixel_range"},
        side=side,
        pixel_range=pixel_range(vq),
        hidden_size=vq.config.vq_embed_dim or vq.config.latent_channels,
        cells=(side // downscale) ** 2,
        latents=resampler.num_latents,
        width=width,
        heads=heads,
        depth=resampler.num_layers,
        words=resampler.words or 0,
    )
    tower = VqTower(config)
    tower.vq.load_state_dict({name: value for name, value in vq.state_dict().items() if name in tower.vq.state_dict()})
    return tower.eval().requires_grad_(False)


def codebook(tower: VqTower) -> Tensor:
    """The tower's codebook, float32 [token, channels]."""
    return tower.vq.quantize.embedding.weight
