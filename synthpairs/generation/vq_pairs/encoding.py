"""Pictures to the tokens of a VQ tokenizer, so that a picture's tokens depend on the picture alone."""

import numpy as np
import torch
from diffusers import VQModel
from torch import Tensor

from synthpairs.core.determinism import filled, steady_threads, threads
from synthpairs.models.vq_tokenizer import latents
from synthpairs.runtime.progress import progress

BATCH = 64  # pictures at once, always: with another number a picture between two codes may get the other one


class Encoder:
    """A VQ model that is given full batches, on as many threads as leave its bits alone."""

    def __init__(self, vq: VQModel) -> None:
        if vq.config.num_vq_embeddings > 2**16:
            raise ValueError(f"a codebook of {vq.config.num_vq_embeddings} codes: tokens are stored in 16 bits")
        self.vq = vq

    @torch.no_grad()
    def tokens(self, pictures: Tensor) -> np.ndarray:
        """Token grids uint16 [picture, row, column] of pictures uint8 [picture, 3, side, side]."""
        grids = []
        with threads(self._threads(pictures[0])), progress("tokens", len(pictures), "pictures") as advance:
            for batch in pictures.split(BATCH):
                vectors = latents(self.vq, torch.stack(filled(list(batch), BATCH)))
                codes = self.vq.quantize(vectors)[2][2].view(BATCH, *vectors.shape[2:])
                grids.append(codes[: len(batch)].cpu().numpy().astype(np.uint16))
                advance(len(batch))
        return np.concatenate(grids)

    def _threads(self, picture: Tensor) -> int:
        return steady_threads(lambda: latents(self.vq, torch.stack([picture] * BATCH)).cpu().numpy())
