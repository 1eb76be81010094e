"""Pictures to VQ tokens, so that the tokens depend on the picture alone."""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from synthpairs.core.determinism import deterministic_threads, pad_batch, torch_threads
from synthpairs.models.vq_tokenizer import latents

BATCH = 64  # pictures; another number may change the token of a cell that is as near to two codebook vectors
LARGEST = 256**2 * BATCH  # pixels of a batch: of larger pictures fewer are encoded at once


class Encoder:
    """A VQ tokenizer on full batches, with a number of threads that changes no bits."""

    def __init__(self, vq: VQModel) -> None:
        if vq.config.num_vq_embeddings > 2**16:
            raise ValueError(f"a codebook of {vq.config.num_vq_embeddings} codes: tokens are stored in 16 bits")
        self.vq = vq
        self._threads = 0  # not measured yet

    @torch.no_grad()
    def tokens(self, pictures: Tensor, advance: Callable[[int], object]) -> np.ndarray:
        """Token grids uint16 [picture, row, column] of pictures uint8 [picture, 3, side, side].

        `advance` is called with the number of pictures of each batch. All pictures of an encoder must have one size.
        """
        grids = []
        size = max(1, min(BATCH, LARGEST // pictures[0, 0].numel()))
        self._threads = self._threads or deterministic_threads(
            lambda: latents(self.vq, torch.stack([pictures[0]] * size)).cpu().numpy()
        )
        with torch_threads(self._threads):
            for batch in pictures.split(size):
                vectors = latents(self.vq, torch.stack(pad_batch(list(batch), size)))
                tokens = self.vq.quantize(vectors)[2][2].view(size, *vectors.shape[2:])
                grids.append(tokens[: len(batch)].cpu().numpy().astype(np.uint16))
                advance(len(batch))
        return np.concatenate(grids)
