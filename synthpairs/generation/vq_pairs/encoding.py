"""Pictures to VQ tokens, so that the tokens depend on the picture alone."""

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from synthpairs.core.determinism import deterministic_threads, pad_batch, torch_threads
from synthpairs.models.vq_tokenizer import latents
from synthpairs.runtime.progress import progress

BATCH = 64  # pictures; another number may change the token of a cell that is as near to two codebook vectors


class Encoder:
    """A VQ tokenizer on full batches, with a number of threads that changes no bits."""

    def __init__(self, vq: VQModel) -> None:
        if vq.config.num_vq_embeddings > 2**16:
            raise ValueError(f"a codebook of {vq.config.num_vq_embeddings} codes: tokens are stored in 16 bits")
        self.vq = vq

    @torch.no_grad()
    def tokens(self, pictures: Tensor) -> np.ndarray:
        """Token grids uint16 [picture, row, column] of pictures uint8 [picture, 3, side, side]."""
        grids = []
        count = deterministic_threads(lambda: latents(self.vq, torch.stack([pictures[0]] * BATCH)).cpu().numpy())
        with torch_threads(count), progress("tokens", len(pictures), "pictures") as advance:
            for batch in pictures.split(BATCH):
                vectors = latents(self.vq, torch.stack(pad_batch(list(batch), BATCH)))
                tokens = self.vq.quantize(vectors)[2][2].view(BATCH, *vectors.shape[2:])
                grids.append(tokens[: len(batch)].cpu().numpy().astype(np.uint16))
                advance(len(batch))
        return np.concatenate(grids)
