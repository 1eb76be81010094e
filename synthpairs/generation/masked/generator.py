"""Generation of VQ token grids, without pixels, in which a grid is a function of its key.

Models and conditioning are those of diffusers' AmusedPipeline; the decoding is synthpairs.generation.masked.decoding. At one
batch size on one kind of machine a key gives the same tokens whatever else is in the batch; another batch size may change low
bits of the logits, and so single tokens.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import diffusers
import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from synthpairs.core.determinism import best_device, deterministic_threads, pad_batch, torch_threads
from synthpairs.core.schema import digest
from synthpairs.generation.masked.decoding import decode, expected_vectors, key_noise
from synthpairs.generation.masked.params import RECIPE, GenerateTokens
from synthpairs.models.diffusion_pipeline import load_pipeline
from synthpairs.models.vq_tokenizer import render
from synthpairs.runtime.accelerator import tuned

AESTHETIC = 6  # micro-condition: aesthetic score; AmusedPipeline's default


class MaskedGenerator:
    """A loaded AmusedPipeline with its settings; ValueError or OSError when it cannot be loaded."""

    def __init__(self, params: GenerateTokens) -> None:
        _check_temperature(params)
        # aMUSEd's VQ model gives NaN in float16 (its model card), and the codebook is not to be rounded.
        dtypes = {"default": getattr(torch, params.dtype), "vqvae": torch.float32}
        pipeline, identity = load_pipeline(params.generator, "generate_tokens.generator", dtypes)
        if not isinstance(pipeline, diffusers.AmusedPipeline):
            raise ValueError(f"params.yaml: generate_tokens.generator: {type(pipeline).__name__} is no AmusedPipeline")
        self.params = params
        self.device = best_device()
        self.pipeline = tuned(pipeline.to(self.device))
        self.tokenizer = pipeline.tokenizer
        sample_size = pipeline.transformer.config.sample_size
        self.grid = (sample_size, sample_size)
        self.side = sample_size * pipeline.vae_scale_factor  # pixels of the picture that a grid decodes to
        self._codebook = pipeline.vqvae.quantize.embedding.weight.detach()
        codes = pipeline.transformer.config.codebook_size
        if codes > 2**16:
            raise ValueError(f"params.yaml: generate_tokens.generator: {codes} codes are more than 16 bits can hold")
        if params.vectors == "soft" and codes != len(self._codebook):
            raise ValueError(
                "params.yaml: generate_tokens.vectors: soft needs a transformer and a VQ model of the same codes, not "
                f"{codes} and {len(self._codebook)}"
            )
        self.inputs = identity | self._settings()
        self.fingerprint = digest(self.inputs)

    def _settings(self) -> dict[str, Any]:
        """Fingerprint inputs besides the models, and the shape of the results."""
        settings = {
            "steps": self.params.num_inference_steps,
            "guidance": self.params.guidance_scale,
            "temperature": self.params.temperature,
            "schedule": self.params.schedule,
            "vectors": self.params.vectors,
            "dtype": self.params.dtype,
            "grid": list(self.grid),
            "codes": len(self._codebook),
            "channels": self._codebook.shape[1],
        }
        return settings | ({"recipe": RECIPE} if RECIPE > 1 else {})

    @property
    def codebook(self) -> np.ndarray:
        """The VQ model's codebook, float32 [codes, channels]."""
        return self._codebook.cpu().numpy()

    @cached_property
    def threads(self) -> int:
        """Number of CPU threads with which tokens do not depend on their row in the batch."""
        return deterministic_threads(self._probe)

    @torch.inference_mode()
    def _probe(self) -> np.ndarray:
        """Logits (tokens would hide low bits) and expected vectors of a first step, for a batch of equal captions."""
        size, mask_id = self.params.batch_size, self.pipeline.scheduler.config.mask_token_id
        blank = torch.full((size, *self.grid), mask_id, device=self.device)
        logits = self._logits_of(["a probe"] * size)(blank).flatten(2)
        if self.params.vectors == "soft":
            mean = expected_vectors(logits.transpose(1, 2).log_softmax(-1), self._codebook)
            logits = torch.cat([logits, mean.transpose(1, 2)], dim=1)
        return logits.cpu().numpy()

    @torch.inference_mode()
    def decode(self, keys: Sequence[str], texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """Tokens uint16 [n, rows, columns], and if soft float16 vectors [n, channels, rows, columns], for at most one batch.

        ValueError when logits are not finite; exceptions of the models are not caught.
        """
        size, count = self.params.batch_size, len(keys)
        noise = key_noise(pad_batch(keys, size), self.params.num_inference_steps, self.grid).to(self.device)
        with torch_threads(self.threads):
            tokens, vectors = decode(
                self._logits_of(pad_batch(texts, size)),
                noise,
                self.pipeline.scheduler.config.mask_token_id,
                self.params.schedule,
                self.params.temperature,
                self._codebook if self.params.vectors == "soft" else None,
            )
        vectors = None if vectors is None else vectors[:count].half()
        return tokens[:count].cpu().numpy().astype(np.uint16), None if vectors is None else vectors.cpu().numpy()

    def _logits_of(self, texts: Sequence[str]) -> Callable[[Tensor], Tensor]:
        """The function from grids to float32 logits for these captions, with classifier-free guidance."""
        conditional, guidance = self.conditions(texts), self.params.guidance_scale
        if guidance <= 1:
            return lambda grids: self.pipeline.transformer(grids, **conditional).float()
        unconditional = self.conditions([""] * len(texts))
        both = {name: torch.cat([unconditional[name], conditional[name]]) for name in conditional}

        def guided(grids: Tensor) -> Tensor:
            without, given = self.pipeline.transformer(torch.cat([grids, grids]), **both).float().chunk(2)
            return without + guidance * (given - without)

        return guided

    def conditions(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """The transformer's conditioning on captions."""
        return conditions(texts, self.tokenizer, self.pipeline.text_encoder, self.side)

    def pictures(self, tokens: np.ndarray) -> np.ndarray:
        """Pictures [n, side, side, 3] in [0, 1] decoded from tokens [n, rows, columns]; ValueError beyond the codebook."""
        starts = range(0, len(tokens), self.params.batch_size)
        parts = [render(self.pipeline.vqvae, tokens[start : start + self.params.batch_size]) for start in starts]
        return torch.cat(parts).permute(0, 2, 3, 1).cpu().numpy()


def conditions(
    texts: Sequence[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection, side: int
) -> dict[str, Tensor]:
    """Conditioning of a U-ViT as in AmusedPipeline, in training and decoding: text embeddings and micro-conditions.

    The micro-conditions are width, height, crop corner and aesthetic score of a picture of `side` pixels.
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


def _check_temperature(params: GenerateTokens) -> None:
    if params.temperature is None:
        if params.candidates > 1:
            raise ValueError(
                f"params.yaml: generate_tokens.candidates must be 1 when temperature is null, got {params.candidates}: "
                "greedy decoding makes them all alike"
            )
    elif len(params.temperature) != 2:
        raise ValueError(f"params.yaml: generate_tokens.temperature must be [first, last], got {params.temperature}")
