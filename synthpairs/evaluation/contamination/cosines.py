"""CLIP cosine with the nearest benchmark image, by the model that scores the pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.params import Scores

DECIMALS = 6  # further ones differ between machines


class Cosines:
    """The benchmarks' images, embedded."""

    def __init__(self, params: Scores, references: Mapping[str, Image.Image]) -> None:
        self._scorer = ClipScorer(
            "scores", params.clip, params.pretrained,
            prefix=params.prefix, precision=params.precision, batch=params.batch,
        )  # fmt: skip
        self._items = list(references)
        self._embedded = self._embed(list(references.values()))  # [items, width]

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes a cosine."""
        return self._scorer.inputs | {"batch": self._scorer.batch}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`picture_cosine` and `picture_cosine_item` of each image."""
        values, indexes = (self._embed(images) @ self._embedded.T).max(dim=1)
        return [
            {"picture_cosine": round(value, DECIMALS), "picture_cosine_item": self._items[index]}
            for value, index in zip(values.tolist(), indexes.tolist(), strict=True)
        ]

    def _embed(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """One batch of views in memory at a time: at paper scale they are 600 KB each."""
        size = self._scorer.batch
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        return torch.cat([self._scorer.embed_pictures(list(map(self._scorer.view, batch))) for batch in batches])
