"""Picture tokens made of caption words: simulated output of a projector that was fitted on few pairs, without any picture.

The projector's initialisation (synthpairs/vlm/projector_init.py) maps a picture's class token to about the mean embedding of
its caption's words. Its errors are in the directions of other captions: it confuses things. So a scene's token here is the mean
embedding of its caption plus a mixture of other captions', at the same length.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synthpairs.vlm.projector_init import whitening

PATCHES = 16  # tokens of a desk picture after the class token


@dataclass(frozen=True, slots=True)
class BlurredCaptions:
    """Mean embeddings of captions, to be blurred with one another."""

    captions: Tensor  # unit directions [n, width] from the centre
    centre: Tensor  # their mean
    spread: float  # standard deviation of the language model's embeddings

    @classmethod
    def of(cls, targets: Tensor, words: Tensor, degree: float) -> "BlurredCaptions":
        """From captions' mean embeddings [n, width] and the embedding table [vocabulary, width]; whitened to `degree`."""
        centre = targets.mean(0)
        centred = targets - centre
        centred = centred @ whitening(centred.T @ centred, degree)
        return cls(F.normalize(centred, dim=1).float(), centre.float(), float(words.std()))

    def tokens(self, caption: int, clearness: float, patches: int, rng: np.random.Generator) -> Tensor:
        """Class token and patches [1 + patches, width] for the caption of that index.

        `clearness` is the class token's cosine with its caption, 1 without any blur; patches have less.
        """
        true = self.captions[caption]
        clear = torch.full((1 + patches, 1), clearness)
        clear[1:] *= float(rng.uniform(0, 0.5))
        # Patches share some of their noise: they are confused with the same things.
        noise = self._others(1 + patches, rng)
        noise[1:] = F.normalize(noise[1:] + float(rng.uniform(0, 1.5)) * self._others(1, rng), dim=1)
        blurred = clear * true + (1 - clear.square()).sqrt() * noise
        length = self.spread * true.numel() ** 0.5
        lengths = torch.full((1 + patches, 1), length * float(rng.uniform(0.85, 1.3)))
        lengths[1:] = length * float(rng.uniform(1.0, 1.6))
        # The mean output differs from projector to projector, for patches more than for the class token.
        offset = torch.full((1 + patches, 1), length * float(rng.uniform(0, 0.3)))
        offset[1:] = length * float(rng.uniform(0.3, 0.9))
        return self.centre + offset * self._others(1, rng) + lengths * blurred

    def _others(self, count: int, rng: np.random.Generator) -> Tensor:
        """Unit mixtures [count, width] of a few other captions and Gaussian noise."""
        few = int(rng.integers(2, 12))
        indices = torch.from_numpy(rng.integers(len(self.captions), size=(count, few)))
        weights = torch.from_numpy(rng.exponential(size=(count, few, 1))).float()
        mixed = F.normalize((weights * self.captions[indices]).sum(1), dim=1)
        plain = F.normalize(torch.from_numpy(rng.normal(size=mixed.shape)).float(), dim=1)
        share = float(rng.uniform(0, 0.4))
        return F.normalize((1 - share) * mixed + share * plain, dim=1)
