"""Measures of images by models: CLIP cosine with the nearest benchmark image, text by OCR, NSFW probability."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from synthpairs.core.determinism import best_device, deterministic_threads, pad_batch, torch_threads
from synthpairs.core.storage import file_sha256
from synthpairs.evaluation.contamination.params import Nsfw
from synthpairs.models.hub import model_folder, require_safetensors
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import load_scorer

DECIMALS = 6  # further ones differ between machines
# Letters and digits that a line must have: OCR takes round and straight shapes in 26 of 60 desk images for single ones.
LETTERS = 3


class NearestBenchmarkImage:
    """CLIP cosine with the nearest benchmark image, by the model of section `scores`; `references` by item."""

    def __init__(self, params: Scores, references: Mapping[str, Image.Image]) -> None:
        self._scorer = load_scorer(params)
        self._items = list(references)
        self._references = self._embed(list(references.values()))  # [items, width]

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes a cosine."""
        return self._scorer.inputs | {"batch": self._scorer.batch}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`picture_cosine` and `picture_cosine_item` of each image."""
        values, indexes = (self._embed(images) @ self._references.T).max(dim=1)
        return [
            {"picture_cosine": round(value, DECIMALS), "picture_cosine_item": self._items[index]}
            for value, index in zip(values.tolist(), indexes.tolist(), strict=True)
        ]

    def _embed(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Embeddings, with one batch of views in memory at a time: at paper scale a view has 600 KB."""
        size = self._scorer.batch
        batches = [images[start : start + size] for start in range(0, len(images), size)]
        return torch.cat([self._scorer.embed_pictures(list(map(self._scorer.view, batch))) for batch in batches])


class TextReader:
    """OCR (watermarks, signatures, captions inside images) by RapidOCR, whose package holds its models.

    ValueError when its packages are not installed.
    """

    def __init__(self) -> None:
        try:
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ValueError(
                f"params.yaml: contamination.text needs packages that are not installed ({error}): "
                "`uv pip install rapidocr onnxruntime`, or set it to false"
            ) from None
        # One thread, so that results do not depend on the machine's cores.
        engine = {"intra_op_num_threads": 1, "inter_op_num_threads": 1}
        settings = {f"EngineConfig.onnxruntime.{name}": value for name, value in engine.items()}
        self._engine = RapidOCR(params=settings | {"Global.log_level": "error"})

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes a result; the version of rapidocr determines the models."""
        return {"rapidocr": version("rapidocr"), "onnxruntime": version("onnxruntime"), "letters": LETTERS}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`written` of each image: lines of LETTERS or more, of RapidOCR's least confidence 0.5 or more."""
        return [{"written": self._read(image)} for image in images]

    def _read(self, image: Image.Image) -> str:
        bgr = np.asarray(image)[:, :, ::-1]  # RapidOCR expects OpenCV's order
        lines = self._engine(np.ascontiguousarray(bgr)).txts or ()
        return " ".join(line for line in lines if sum(map(str.isalnum, line)) >= LETTERS)


class NsfwClassifier:
    """An image classifier of transformers; ValueError or OSError when it cannot be loaded or lacks the label."""

    def __init__(self, params: Nsfw) -> None:
        folder = model_folder(params.model, "contamination.nsfw.model")
        require_safetensors(folder, params.model, "contamination.nsfw.model")
        self._params, self._folder = params, folder
        self._model = AutoModelForImageClassification.from_pretrained(folder, use_safetensors=True, dtype=torch.float32)
        self._model.eval().to(best_device())
        labels = list(self._model.config.id2label.values())
        if params.label not in labels:
            raise ValueError(
                f"params.yaml: contamination.nsfw.label must be one of {', '.join(labels)} for {params.model}, "
                f"got {params.label!r}"
            )
        self._label = labels.index(params.label)
        self._processor = AutoImageProcessor.from_pretrained(folder)
        probe = Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 100).convert("RGB")
        self._threads = deterministic_threads(lambda: self._run([probe] * params.batch_size).numpy())

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that changes a probability."""
        settings = {"model": self._params.model, "label": self._params.label, "batch": self._params.batch_size}
        return settings | {"weights": file_sha256(self._folder), "torch": torch.__version__.split("+")[0]}

    def measure(self, images: Sequence[Image.Image]) -> list[dict[str, Any]]:
        """`nsfw` of each image: the label's probability."""
        size, probabilities = self._params.batch_size, []
        with torch_threads(self._threads):
            for start in range(0, len(images), size):
                batch = images[start : start + size]
                probabilities += self._run(pad_batch(batch, size))[: len(batch)].tolist()
        return [{"nsfw": round(value, DECIMALS)} for value in probabilities]

    @torch.inference_mode()
    def _run(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Probabilities [n] of the label for one batch."""
        views = self._processor(images=list(images), return_tensors="pt").to(self._model.device)
        return self._model(**views).logits.float().softmax(dim=-1)[:, self._label].cpu()


Measure = NearestBenchmarkImage | TextReader | NsfwClassifier
