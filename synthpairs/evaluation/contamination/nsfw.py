"""NSFW probability of images, by any image classifier of transformers that has a label for it."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from synthpairs.core.determinism import best_device, filled, steady_threads, threads
from synthpairs.core.storage import file_sha256
from synthpairs.evaluation.contamination.params import Nsfw
from synthpairs.models.hub import model_folder

DECIMALS = 6


class NsfwClassifier:
    """A loaded classifier. ValueError or OSError when it cannot be had or has no such label."""

    def __init__(self, params: Nsfw) -> None:
        folder = model_folder(params.model, "audit.nsfw.model")
        self._params, self._folder = params, folder
        self._model = AutoModelForImageClassification.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
        self._model.eval().to(best_device())
        labels = list(self._model.config.id2label.values())
        if params.label not in labels:
            raise ValueError(
                f"params.yaml: audit.nsfw.label must be one of {', '.join(labels)} for {params.model}, got {params.label!r}"
            )
        self._label = labels.index(params.label)
        self._processor = AutoImageProcessor.from_pretrained(folder)
        probe = Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 100).convert("RGB")
        self._threads = steady_threads(lambda: self._run([probe] * params.batch).numpy())

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes a probability."""
        settings = {"model": self._params.model, "label": self._params.label, "batch": self._params.batch}
        return settings | {"weights": file_sha256(self._folder), "torch": torch.__version__.split("+")[0]}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`nsfw` of each image: the label's probability."""
        size, probabilities = self._params.batch, []
        with threads(self._threads):
            for start in range(0, len(images), size):
                batch = images[start : start + size]
                probabilities += self._run(filled(batch, size))[: len(batch)].tolist()
        return [{"nsfw": round(value, DECIMALS)} for value in probabilities]

    @torch.inference_mode()
    def _run(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Probabilities [n] of the label for one batch."""
        views = self._processor(images=list(images), return_tensors="pt").to(self._model.device)
        return self._model(**views).logits.float().softmax(dim=-1)[:, self._label].cpu()
