"""Each model's losses on the same text, and how they differ from those of the first."""

import gc
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from synthpairs.arms import split_models
from synthpairs.language.model import language_model_folder
from synthpairs.language.model import load as load_language_model
from synthpairs.perplexity.params import Perplexity
from synthpairs.perplexity.text import read_text, windows
from synthpairs.progress import progress
from synthpairs.statistics import holm, interval, mean, paired, shown
from synthpairs.vlm import load as load_vlm

PLACES = 4


def measure_perplexity(params: Perplexity, arms: Sequence[str]) -> dict[str, Any]:
    """{models: {name: {value, low, high, against_first}}, order, left_out, tokens, windows, text}; perplexity is per token.

    Intervals are over windows. `against_first` is the factor by which a model's perplexity exceeds that of the first model,
    of the same tokens, with Holm's p, which is None for a single window. `arms`: those that are trained; models of other arms
    are `left_out`. ValueError when models cut the text into other tokens: their perplexities do not compare.
    """
    text = read_text(params)
    names, left_out = split_models(params.models, arms)
    losses: dict[str, list[float]] = {}
    seen: list[Sequence[int]] = []
    transformers_logging.disable_progress_bar()
    with progress("perplexity", len(names), "models") as advance:
        for name in names:
            ids, losses[name] = read_by(name, text, params)
            seen = seen or ids
            if ids != seen:
                raise ValueError(f"params.yaml: perplexity.models: {name} cuts text into other tokens than {names[0]}")
            advance(1)
    places = window_of_each(seen)
    told = {name: _perplexity(values, places, params) for name, values in losses.items()}
    for name, difference in _differences(losses, places, params).items():
        told[name]["against_first"] = difference
    source = params.path if params.text is None else f"{params.text.package}: {params.text.file}"
    return {
        "models": told,
        "order": list(losses),
        "left_out": left_out,
        "tokens": len(places),
        "windows": len(seen),
        "text": source,
    }


def read_by(name: str, text: str, params: Perplexity) -> tuple[list[Sequence[int]], list[float]]:
    """A model's windows of the text, as token ids, and its losses (`token_losses`) over all of them; ValueError without text."""
    model, tokenizer = _load(name)
    ids = list(windows(text, tokenizer, params))
    if not ids:
        raise ValueError("params.yaml: perplexity: the text is empty")
    losses = [loss for window in ids for loss in token_losses(model, tokenizer.eos_token_id, window)]
    del model
    gc.collect()
    return ids, losses


def window_of_each(ids: Sequence[Sequence[int]]) -> list[str]:
    """The number of its window for each token: what its loss is not independent of."""
    return [str(place) for place, window in enumerate(ids) for _ in window]


@torch.inference_mode()
def token_losses(model: PreTrainedModel, start: int, window: Sequence[int]) -> list[float]:
    """Negative log-likelihood in nats of every token of a window, from those before it and the token `start` before them all."""
    ids = torch.tensor([[start, *window]], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    return F.cross_entropy(logits.float(), ids[0, 1:], reduction="none").tolist()


def _load(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A VLM's directory, or a language model."""
    config = Path(name) / "config.json"
    if config.exists() and "vision_config" in json.loads(config.read_text()):
        model, processor = load_vlm(name)
        return model, processor.tokenizer
    loaded = load_language_model(language_model_folder(name, "perplexity.models"))
    return loaded.model, loaded.tokenizer


def _perplexity(losses: Sequence[float], places: Sequence[str], params: Perplexity) -> dict[str, Any]:
    low, high = interval(losses, places, params.resamples, params.seed)
    edges = {"value": mean(losses), "low": low, "high": high}
    return {name: round(math.exp(edge), PLACES) for name, edge in edges.items()}


def _differences(
    losses: dict[str, list[float]], places: Sequence[str], params: Perplexity
) -> dict[str, dict[str, Any]]:
    names = list(losses)
    found = {
        name: paired(pd.Series(losses[name]), pd.Series(losses[names[0]]), places, params.resamples, params.seed)
        for name in names[1:]
    }
    adjusted = holm([one.p for one in found.values()])
    return {
        name: {
            "value": round(math.exp(one.value), PLACES),
            "low": round(math.exp(one.low), PLACES),
            "high": round(math.exp(one.high), PLACES),
            "p": None if math.isnan(p) else round(p, PLACES),
            "shown": shown(p, one.low, one.high),
        }
        for (name, one), p in zip(found.items(), adjusted, strict=True)
    }
