"""Sentence encoder: a transformers model with mean pooling and unit length, as all-MiniLM-L6-v2 (https://www.sbert.net).

Encoders with another pooling are an error.
"""

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from transformers import AutoModel, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from synthpairs.core.determinism import best_device
from synthpairs.core.storage import file_sha256
from synthpairs.models.hub import model_folder, require_safetensors
from synthpairs.models.language.chat import without_control_tokens
from synthpairs.runtime.progress import progress

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceEncoder:
    """A loaded encoder in evaluation mode with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    limit: int  # maximal tokens of a text, special tokens included
    batch: int  # texts per forward pass
    inputs: dict[str, Any]  # everything that an embedding depends on, for fingerprints

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors [n, width] in float32; texts of similar length share a batch, to pad less."""
        texts = without_control_tokens(texts, self.tokenizer)
        ids = self.tokenizer(texts, truncation=False, verbose=False).input_ids if texts else []
        lengths = list(map(len, ids))
        if cut := sum(length > self.limit for length in lengths):
            log.warning("%d of %d captions have more than %d tokens; the rest is not read", cut, len(texts), self.limit)
        order = np.argsort(lengths, kind="stable").tolist()
        vectors = np.empty((len(texts), self.model.config.hidden_size), dtype=np.float32)
        with progress("embeddings", len(texts), "captions") as advance:
            for start in range(0, len(order), self.batch):
                batch = order[start : start + self.batch]
                tokens = self.tokenizer(
                    [texts[index] for index in batch],
                    padding=True, truncation=True, max_length=self.limit, return_tensors="pt",
                ).to(self.model.device)  # fmt: skip
                hidden = self.model(**tokens).last_hidden_state.float()
                mask = tokens["attention_mask"][..., None].float()
                means = (hidden * mask).sum(1) / mask.sum(1)  # never 0: every text has special tokens
                vectors[batch] = F.normalize(means).cpu().numpy()
                advance(len(batch))
        return vectors


def load(name: str, batch: int) -> SentenceEncoder:
    """The encoder in float32, on the accelerator if there is one; ValueError or OSError when it cannot be loaded."""
    folder = model_folder(name, "diversity.encoder", made_by="`dvc repro sentence_encoder` makes models/sentence")
    for file in ("config.json", "tokenizer_config.json"):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"params.yaml: diversity.encoder: {folder}/{file} is missing: no sentence encoder")
    pooling = _json(folder / "1_Pooling/config.json")
    if pooling and not pooling.get("pooling_mode_mean_tokens"):
        raise ValueError(f"params.yaml: diversity.encoder: {name} does not pool by the mean, see 1_Pooling/config.json")
    require_safetensors(folder, name, "diversity.encoder")
    transformers_logging.disable_progress_bar()
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    trained_length = _json(folder / "sentence_bert_config.json").get("max_seq_length")  # less than the model's
    limit = int(min(trained_length or math.inf, tokenizer.model_max_length, model.config.max_position_embeddings))
    inputs = {
        "model": name,
        "weights": {path.name: file_sha256(path) for path in sorted(folder.glob("*.safetensors"))},
        "pooling": "mean",
        "limit": limit,
    }
    model = model.eval().to(best_device())
    return SentenceEncoder(model=model, tokenizer=tokenizer, limit=limit, batch=batch, inputs=inputs)


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.is_file() else {}
