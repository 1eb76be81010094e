"""A masked text-to-image generator whose token grids are functions of their keys, and which never renders a pixel for them.

The parts are those of diffusers' AmusedPipeline, conditioned as it conditions them; the decoding is our own, see
synthpairs.generation.masked.decoding. As with pictures, one batch size on one kind of machine gives a key the same codes in any
company; another batch size may move low bits of the logits, and with them a code now and then.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from synthpairs.core.determinism import best_device, filled, steady_threads, threads
from synthpairs.core.schema import digest
from synthpairs.generation.masked.decoding import decode, expected, noise_of
from synthpairs.generation.masked.params import RECIPE, Embed
from synthpairs.models.diffusion_pipeline import load_pipeline
from synthpairs.models.vq_tokenizer import render
from synthpairs.runtime.engine.tuning import tuned

AESTHETIC = 6  # micro-condition beside the picture's size and the corner of its crop; AmusedPipeline's default


class MaskedGenerator:
    """A loaded AmusedPipeline with its settings. ValueError or OSError when it cannot be had."""

    def __init__(self, params: Embed) -> None:
        _check(params)
        # aMUSEd's VQ model gives NaN in float16, says its card; and of its codebook nothing is to be rounded off.
        dtypes = {"default": getattr(torch, params.dtype), "vqvae": torch.float32}
        pipeline, identity = load_pipeline(params.generator, "embed.generator", dtypes)
        if not isinstance(pipeline, diffusers.AmusedPipeline):
            raise ValueError(f"params.yaml: embed.generator: {type(pipeline).__name__} is no AmusedPipeline")
        self.params = params
        self.device = best_device()
        self.pipeline = tuned(pipeline.to(self.device))
        self.tokenizer = pipeline.tokenizer
        sample_size = pipeline.transformer.config.sample_size
        self.grid = (sample_size, sample_size)
        self.side = sample_size * pipeline.vae_scale_factor  # pixels of the picture that the codes stand for
        self._codebook = pipeline.vqvae.quantize.embedding.weight.detach()
        self._codes = pipeline.transformer.config.codebook_size  # those that it tells apart
        if self._codes > 2**16:
            raise ValueError(f"params.yaml: embed.generator: {self._codes} codes are more than 16 bits can hold")
        if params.vectors == "soft" and self._codes != len(self._codebook):
            raise ValueError(
                f"params.yaml: embed.vectors: soft needs a transformer and a VQ model of the same codes, not "
                f"{self._codes} and {len(self._codebook)}"
            )
        self.inputs = identity | self._settings()
        self.fingerprint = digest(self.inputs)

    def _settings(self) -> dict[str, Any]:
        """Everything that changes codes beside the files, and how to read them."""
        names = ("steps", "guidance", "temperature", "schedule", "vectors", "dtype")
        settings = {name: getattr(self.params, name) for name in names}
        settings |= {"grid": list(self.grid), "codes": len(self._codebook), "channels": self._codebook.shape[1]}
        return settings | ({"recipe": RECIPE} if RECIPE > 1 else {})

    @property
    def codebook(self) -> np.ndarray:
        """The VQ model's vectors, float32 [codes, channels]."""
        return self._codebook.cpu().numpy()

    @cached_property
    def threads(self) -> int:
        """How many threads it decodes with."""
        return steady_threads(self._probe)

    @torch.inference_mode()
    def _probe(self) -> np.ndarray:
        """What a first step computes for a batch of equal captions: logits, for codes would hide their low bits."""
        size, mask_id = self.params.batch, self.pipeline.scheduler.config.mask_token_id
        blank = torch.full((size, *self.grid), mask_id, device=self.device)
        logits = self._logits_of(["a probe"] * size)(blank).flatten(2)
        if self.params.vectors == "soft":
            mean = expected(logits.transpose(1, 2).log_softmax(-1), self._codebook)
            logits = torch.cat([logits, mean.transpose(1, 2)], dim=1)
        return logits.cpu().numpy()

    @torch.inference_mode()
    def decode(self, keys: Sequence[str], texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Tokens uint16 [n, rows, columns], and if soft float16 vectors [n, channels, rows, columns], for at most one batch.

        What the models raise comes through, and ValueError when their answer is not finite.
        """
        size, count = self.params.batch, len(keys)
        noise = noise_of(filled(keys, size), self.params.steps, self.grid).to(self.device)
        with threads(self.threads):
            tokens, vectors = decode(
                self._logits_of(filled(texts, size)),
                noise,
                self.pipeline.scheduler.config.mask_token_id,
                self.params.schedule,
                self.params.temperature,
                self._codebook if self.params.vectors == "soft" else None,
            )
        codes = tokens[:count].cpu().numpy().astype(np.uint16)
        return codes, None if vectors is None else vectors[:count].half().cpu().numpy()

    def _logits_of(self, texts: Sequence[str]) -> Callable[[Tensor], Tensor]:
        """A function from grids to logits in float32, under the captions and classifier-free guidance."""
        told, guidance = self.conditions(texts), self.params.guidance
        if guidance <= 1:
            return lambda grids: self.pipeline.transformer(grids, **told).float()
        nothing = self.conditions([""] * len(texts))
        both = {name: torch.cat([nothing[name], told[name]]) for name in told}

        def guided(grids: Tensor) -> Tensor:
            without, given = self.pipeline.transformer(torch.cat([grids, grids]), **both).float().chunk(2)
            return without + guidance * (given - without)

        return guided

    def conditions(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """What the transformer is told about captions."""
        return conditions(texts, self.tokenizer, self.pipeline.text_encoder, self.side)

    def pictures(self, tokens: np.ndarray) -> np.ndarray:
        """Pictures [n, side, side, 3] in [0, 1] that tokens [n, rows, columns] stand for; ValueError beyond the codebook."""
        starts = range(0, len(tokens), self.params.batch)
        parts = [render(self.pipeline.vqvae, tokens[start : start + self.params.batch]) for start in starts]
        return torch.cat(parts).permute(0, 2, 3, 1).cpu().numpy()


def conditions(
    texts: Sequence[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection, side: int
) -> dict[str, Tensor]:
    """What a U-ViT is told, as AmusedPipeline makes it: hidden states, pooled embedding, micro-conditions.

    The micro-conditions are width, height, crop corner and aesthetic score of a picture of `side` pixels. Training and
    decoding both call this.
    """
    ids = tokenizer(
        list(texts), padding="max_length", truncation=True, max_length=tokenizer.model_max_length, return_tensors="pt"
    ).input_ids
    encoded = encoder(ids.to(encoder.device), output_hidden_states=True)
    micro = torch.tensor([side, side, 0, 0, AESTHETIC], dtype=torch.float32, device=encoder.device)
    return {
        "encoder_hidden_states": encoded.hidden_states[-2],
        "pooled_text_emb": encoded.text_embeds,
        "micro_conds": micro.expand(len(texts), -1),
    }


def _check(params: Embed) -> None:
    """ValueError for settings that each are in range and make no sense together."""
    if params.temperature is None:
        if params.candidates > 1:
            raise ValueError(
                f"params.yaml: embed.candidates must be 1 when embed.temperature is null, got {params.candidates}: "
                "greedy decoding makes them all alike"
            )
    elif len(params.temperature) != 2:
        raise ValueError(f"params.yaml: embed.temperature must be [first, last], got {params.temperature}")
