"""The Synth2 route's way from a picture to the language model: VQ codes, a Perceiver Resampler, words.

In the paper (arXiv 2403.07750, section 3.2) the vision-language model shares the image generator's VQ tokenizer as its
eye, so that a generated picture need not be drawn: its codebook vectors are what the eye would have seen. They go through
a Perceiver Resampler (Flamingo, arXiv 2204.14198) to a fixed number of tokens. Here a token is a mixture of words: each
latent reads a table of the language model's own embeddings by attention, so what it says is spelled in a language that the
model knows from the start, and can be trained before the language model is asked (`synthpairs.naming`).
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


class CodeEyeConfig(PreTrainedConfig):
    """What the eye is: a VQModel's configuration, its grid, and the resampler behind it."""

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


class CodeEye(PreTrainedModel):
    """The VQ tokenizer's encoder, frozen, in float32: in half precision other codes come nearest.

    Takes pictures [n, 3, side, side] in its range, or codebook vectors [n, channels, rows, columns], which are what it would
    have seen; gives vectors [n, cells, channels] as its one hidden state.
    """

    config_class = CodeEyeConfig
    main_input_name = "pixel_values"

    def __init__(self, config: CodeEyeConfig) -> None:
        super().__init__(config)
        self.vq = VQModel.from_config(config.vq)
        del self.vq.decoder, self.vq.post_quant_conv
        self.post_init()

    def forward(self, pixel_values: Tensor, **_: Any) -> BaseModelOutputWithPooling:
        """Vectors of pictures, or the vectors that were given."""
        vectors = pixel_values if pixel_values.shape[1] == self.config.hidden_size else self.encode(pixel_values)
        seen = vectors.flatten(2).transpose(1, 2)
        return BaseModelOutputWithPooling(last_hidden_state=seen, hidden_states=(seen,))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Codebook vectors [n, channels, rows, columns] of pictures."""
        with torch.autocast(pixels.device.type, enabled=False):
            return self.vq.quantize(self.vq.encode(pixels.float()).latents)[0]


class WordResampler(nn.Module):
    """From vectors [n, cells, channels] to tokens [n, latents, width of the language model]."""

    middle: Tensor
    spread: Tensor

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__()
        eye = config.vision_config
        side = round(eye.cells**0.5)
        self.grid = nn.Unflatten(1, (side, eye.cells // side))
        self.look = nn.Sequential(
            nn.Conv2d(eye.hidden_size, eye.width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(eye.width, eye.width, 3, padding=1),
        )
        self.places = nn.Parameter(0.02 * torch.randn(eye.cells, eye.width))
        flamingo = IdeficsConfig(vision_config={"embed_dim": eye.width}, perceiver_config={"use_resampler": True})
        self.resample = IdeficsPerceiverResampler(
            flamingo, eye.width, eye.depth, eye.heads, eye.width // eye.heads, eye.latents
        )
        hidden = config.text_config.hidden_size
        self.ask = nn.Linear(eye.width, hidden)
        self.words = nn.Parameter(torch.zeros(eye.words, hidden))
        # Of the vectors that are seen, so that the layers find the same scale whatever the codebook's.
        self.register_buffer("middle", torch.zeros(eye.hidden_size))
        self.register_buffer("spread", torch.ones(eye.hidden_size))

    @torch.no_grad()
    def prepare(self, codebook: Tensor, words: Tensor) -> None:
        """Take the codebook's scale, and embeddings [n, width] as the first words of the table; the rest stays silent."""
        self.middle.copy_(codebook.mean(0))
        self.spread.copy_(codebook.std(0))
        self.words.zero_()
        self.words[: len(words)] = words[: len(self.words)]

    def shares(self, vectors: Tensor) -> Tensor:
        """Logarithm of each word's share in each token, float32 [n, latents, words]."""
        seen = self.grid((vectors - self.middle) / self.spread).permute(0, 3, 1, 2)
        context = self.look(seen.to(self.places.dtype)).flatten(2).transpose(1, 2) + self.places
        asked = self.ask(self.resample(context))
        scale = self.words.float().std() * self.words.shape[1] ** 0.5
        return F.log_softmax((asked @ self.words.T).float() / scale, dim=-1)

    def forward(self, vectors: Tensor) -> Tensor:
        """Tokens."""
        return self.shares(vectors).exp().to(self.words.dtype) @ self.words


class CodeLlava(LlavaForConditionalGeneration):
    """LLaVA whose eye is a VQ tokenizer and whose projector is a Perceiver Resampler that speaks words."""

    _keep_in_fp32_modules_strict = frozenset({"vision_tower"})

    def __init__(self, config: LlavaConfig) -> None:
        super().__init__(config)
        self.model.multi_modal_projector = WordResampler(config)
        self.post_init()

    @property
    def dtype(self) -> torch.dtype:
        """The language model's, in which all but the eye is stored; transformers takes the first weight's for everyone's."""
        return self.lm_head.weight.dtype


AutoConfig.register(CodeEyeConfig.model_type, CodeEyeConfig)
AutoModel.register(CodeEyeConfig, CodeEye)


def load_eye(resampler: Resampler) -> CodeEye:
    """The tokenizer of an AmusedPipeline as an eye. FileNotFoundError or ValueError names the param that is wrong."""
    width, heads = resampler.width, resampler.heads
    if width % heads:
        raise ValueError(f"params.yaml: resampler.width must be a multiple of heads, got {width} and {heads}")
    pipeline = tokenizer_folder(resampler.tokenizer, "resampler.tokenizer")
    vq = load_tokenizer(pipeline, "params.yaml: resampler.tokenizer")
    side, down = picture_side(pipeline, vq), 2 ** (len(vq.config.block_out_channels) - 1)
    config = CodeEyeConfig(
        vq={name: value for name, value in vq.config.items() if not name.startswith("_") and name != "pixel_range"},
        side=side,
        pixel_range=pixel_range(vq),
        hidden_size=vq.config.vq_embed_dim or vq.config.latent_channels,
        cells=(side // down) ** 2,
        latents=resampler.latents,
        width=width,
        heads=heads,
        depth=resampler.depth,
        words=resampler.words,
    )
    eye = CodeEye(config)
    eye.vq.load_state_dict({name: value for name, value in vq.state_dict().items() if name in eye.vq.state_dict()})
    return eye.eval().requires_grad_(False)


def codebook(eye: CodeEye) -> Tensor:
    """Its codebook, float32 [codes, channels]."""
    return eye.vq.quantize.embedding.weight
