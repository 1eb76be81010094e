"""CLIP embeddings of pictures and captions, by any open_clip model."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from torch import Tensor

from synthpairs.core.determinism import best_device, deterministic_threads, pad_batch, torch_threads
from synthpairs.core.storage import file_sha256

LOCAL = open_clip.factory.LOCAL_DIR_PREFIX


class ClipScorer:
    """A loaded open_clip model; embeddings are unit vectors in float32 on the CPU.

    Errors name `section` of params.yaml. `prefix` is put before every caption, `batch` is the number of texts or pictures per
    forward pass.
    """

    def __init__(
        self, section: str, clip: str, pretrained: str | None, *, prefix: str, precision: str, batch: int
    ) -> None:
        check_clip(section, clip, pretrained)
        self.clip, self.pretrained = clip, pretrained
        self.prefix, self.precision, self.batch = prefix, precision, batch
        self.device = best_device()
        try:
            self.model, _, self.preprocess = open_clip.create_model_and_transforms(
                clip, pretrained, precision=precision, device=self.device, weights_only=True, require_pretrained=True
            )
        except RuntimeError as error:  # no network, or weights that do not fit their configuration
            reason = " ".join(str(error).split())
            raise ValueError(f"params.yaml: {section}.clip: {clip} cannot be loaded: {reason}") from None
        self.model.eval()
        self.tokenizer = open_clip.get_tokenizer(clip)
        self.dtype = open_clip.get_input_dtype(precision) or torch.float32

    @property
    def inputs(self) -> dict[str, Any]:
        """Everything that a cosine depends on, for fingerprints."""
        local = self.clip.removeprefix(LOCAL) if self.clip.startswith(LOCAL) else None
        return {
            "clip": self.clip,
            "pretrained": self.pretrained,
            "weights": file_sha256(Path(local)) if local else _tensors_sha256(self.model),
            "prefix": self.prefix,
            "precision": self.precision,
            "preprocess": open_clip.get_model_preprocess_cfg(self.model),
            "open_clip": open_clip.__version__,
            "torch": torch.__version__.split("+")[0],
        }

    @property
    def token_limit(self) -> int:
        """The model's context length in tokens."""
        return int(self.tokenizer.context_length)

    def count_tokens(self, text: str) -> int:
        """Tokens of prefix and caption, start and end tokens included, before truncation."""
        text = self.tokenizer.clean_fn(self.prefix + text)
        if isinstance(self.tokenizer, open_clip.SimpleTokenizer):
            return len(self.tokenizer.encode(text)) + 2
        return len(self.tokenizer.tokenizer(text, truncation=False, verbose=False).input_ids)

    def view(self, picture: Image.Image) -> Tensor:
        """An RGB picture preprocessed for the model: [3, height, width]."""
        return self.preprocess(picture)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Embeddings [n, width] of captions with the prefix."""
        return self._embed(texts, self._encode_texts)

    def embed_pictures(self, views: Sequence[Tensor]) -> Tensor:
        """Embeddings [n, width] of pictures that `view` preprocessed."""
        return self._embed(views, self._encode_views)

    def _embed(self, items: Sequence[Any], encode: Callable[[Sequence[Any]], Tensor]) -> Tensor:
        batches = [items[start : start + self.batch] for start in range(0, len(items), self.batch)]
        with torch_threads(self._threads), full_float32():
            return torch.cat([encode(pad_batch(batch, self.batch))[: len(batch)] for batch in batches])

    @cached_property
    def _threads(self) -> int:
        probe = self.view(Image.effect_mandelbrot((64, 64), (-2, -1.5, 1, 1.5), 100).convert("RGB"))
        return min(
            deterministic_threads(lambda: self._encode_views([probe] * self.batch).numpy()),
            deterministic_threads(lambda: self._encode_texts(["a probe"] * self.batch).numpy()),
        )

    @torch.inference_mode()
    def _encode_texts(self, texts: Sequence[str]) -> Tensor:
        tokens = self.tokenizer([self.prefix + text for text in texts])
        return self.model.encode_text(tokens.to(self.device), normalize=True).float().cpu()

    @torch.inference_mode()
    def _encode_views(self, views: Sequence[Tensor]) -> Tensor:
        pictures = torch.stack(list(views)).to(self.device, self.dtype)
        return self.model.encode_image(pictures, normalize=True).float().cpu()


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolutions in float32 on a GPU too, where cuDNN by default rounds their inputs to 10 bits (TF32)."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def check_clip(section: str, clip: str, pretrained: str | None) -> None:
    """FileNotFoundError or ValueError for a model that does not exist, or lacks the QuickGELU of its weights."""
    if clip.startswith(LOCAL):
        path = Path(clip.removeprefix(LOCAL))
        if pretrained is not None:
            raise ValueError(f"params.yaml: {section}.pretrained must be null for {clip}, got {pretrained!r}")
        if not (path / "open_clip_config.json").is_file():
            raise FileNotFoundError(f"params.yaml: {section}.clip: {path}/open_clip_config.json is missing")
        return
    tags = open_clip.list_pretrained_tags_by_model(clip)
    if pretrained not in tags:
        known = f"weights of {clip} are {', '.join(tags)}" if tags else "see open_clip.list_models()"
        raise ValueError(f"params.yaml: {section}: no open_clip model {clip} with {pretrained}; {known}")
    weights = open_clip.get_pretrained_cfg(clip, pretrained)
    # open_clip only warns. It lists QuickGELU's weights under NAME and under NAME-quickgelu, others under NAME alone.
    if weights.get("quick_gelu") and not open_clip.get_model_config(clip).get("quick_gelu"):
        raise ValueError(
            f"params.yaml: {section}.clip: the weights {pretrained} were trained with QuickGELU, which {clip} lacks: "
            f"write {clip}-quickgelu"
        )


def _tensors_sha256(model: torch.nn.Module) -> str:
    """SHA-256 of a model's weights, sorted by name."""
    total = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        total.update(name.encode() + tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
