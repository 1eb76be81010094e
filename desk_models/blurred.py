"""A picture's tokens made of words: what a projector would say that was fitted on few pairs, without any picture.

The closed-form start (synthpairs/vlm/warmstart.py) maps a picture's class token to the mean embedding of its caption's words,
as well as it can tell. Its answers differ from the true caption's as other captions do: it takes one thing for another. So a
scene's token here is its own caption's mean embedding plus a mixture of other captions', at the same length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthpairs.vlm.warmstart import whitening

PATCHES = 16  # tokens of a desk picture beside the class token


@dataclass(frozen=True, slots=True)
class Blur:
    """Unit directions of `captions` [n, width] around their `centre`, and the `spread` of the language model's words."""

    captions: Tensor
    centre: Tensor
    spread: float

    @classmethod
    def of(cls, targets: Tensor, words: Tensor, degree: float) -> "Blur":
        """From captions' mean embeddings [n, width] and all words' [vocabulary, width], whitened as the projector's answers."""
        centre = targets.mean(0)
        apart = targets - centre
        apart = apart @ whitening(apart.T @ apart, degree)
        return cls(F.normalize(apart, dim=1).float(), centre.float(), float(words.std()))

    def tokens(self, caption: int, clearness: float, patches: int, rng: np.random.Generator) -> Tensor:
        """The class token and the patches [1 + patches, width] of a scene whose caption is the one at that place.

        `clearness` is the class token's cosine with its caption, 1 without any blur; patches say little of it.
        """
        true = self.captions[caption]
        clear = torch.full((1 + patches, 1), clearness)
        clear[1:] *= float(rng.uniform(0, 0.5))
        # Neighbouring patches are taken for the same things.
        noise = self._others(1 + patches, rng)
        noise[1:] = F.normalize(noise[1:] + float(rng.uniform(0, 1.5)) * self._others(1, rng), dim=1)
        said = clear * true + (1 - clear.square()).sqrt() * noise
        length = self.spread * true.numel() ** 0.5
        lengths = torch.full((1 + patches, 1), length * float(rng.uniform(0.85, 1.3)))
        lengths[1:] = length * float(rng.uniform(1.0, 1.6))
        # Where the answers lie as a whole differs from projector to projector, for patches more than for the class token.
        beside = torch.full((1 + patches, 1), length * float(rng.uniform(0, 0.3)))
        beside[1:] = length * float(rng.uniform(0.3, 0.9))
        return self.centre + beside * self._others(1, rng) + lengths * said

    def _others(self, count: int, rng: np.random.Generator) -> Tensor:
        """Unit mixtures [count, width] of a few other captions, with some plain noise."""
        few = int(rng.integers(2, 12))
        places = torch.from_numpy(rng.integers(len(self.captions), size=(count, few)))
        weights = torch.from_numpy(rng.exponential(size=(count, few, 1))).float()
        mixed = F.normalize((weights * self.captions[places]).sum(1), dim=1)
        plain = F.normalize(torch.from_numpy(rng.normal(size=mixed.shape)).float(), dim=1)
        share = float(rng.uniform(0, 0.4))
        return F.normalize((1 - share) * mixed + share * plain, dim=1)
