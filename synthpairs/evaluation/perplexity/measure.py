"""Perplexity of language models on held-out text, each compared with the first model token by token."""

import gc
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.nn import functional as F
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from synthpairs.core.arms import split_models
from synthpairs.core.assets import pinned
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.statistics import holm, interval, mean, paired, shown
from synthpairs.models.language.chat import without_control_tokens
from synthpairs.models.language.model import language_model_folder
from synthpairs.models.language.model import load as load_language_model
from synthpairs.runtime.progress import progress
from synthpairs.vlm.model import load as load_vlm

DECIMALS = 4


def measure_perplexity(params: Perplexity, arms: Sequence[str]) -> dict[str, Any]:
    """{models: {name: {value, low, high, against_first}}, order, left_out, tokens, windows, text}, per token.

    Intervals resample windows. `against_first` is the ratio of a model's perplexity to that of the first model, with
    Holm's p (None for a single window). Models of arms that are not in `arms` are `left_out`. ValueError when models
    tokenise the text differently, since their perplexities cannot be compared.
    """
    text = read_text(params)
    names, left_out = split_models(params.models, arms)
    losses: dict[str, list[float]] = {}
    ids: list[Sequence[int]] = []
    transformers_logging.disable_progress_bar()
    with progress("perplexity", len(names), "models") as advance:
        for name in names:
            own_ids, losses[name] = model_losses(name, text, params)
            ids = ids or own_ids
            if own_ids != ids:
                raise ValueError(f"params.yaml: perplexity.models: {name} tokenises differently from {names[0]}")
            advance(1)
    clusters = token_windows(ids)
    models: dict[str, dict[str, Any]] = {}
    for name, values in losses.items():
        low, high = interval(values, clusters, params.resamples, params.seed)
        models[name] = _perplexities(mean(values), low, high)
    first = pd.Series(losses[names[0]]) if names else None
    differences = [
        paired(pd.Series(losses[name]), first, clusters, params.resamples, params.seed) for name in names[1:]
    ]
    for name, one, p in zip(names[1:], differences, holm([one.p for one in differences]), strict=True):
        models[name]["against_first"] = _perplexities(one.value, one.low, one.high) | {
            "p": None if math.isnan(p) else round(p, DECIMALS),
            "shown": shown(p, one.low, one.high),
        }
    return {
        "models": models,
        "order": names,
        "left_out": left_out,
        "tokens": len(clusters),
        "windows": len(ids),
        "text": params.path if params.text is None else f"{params.text.package}: {params.text.file}",
    }


def read_text(params: Perplexity) -> str:
    """The held-out text; ValueError for a package that is not pinned, FileNotFoundError for a missing file."""
    if params.path is not None:
        if not Path(params.path).is_file():
            raise FileNotFoundError(f"params.yaml: perplexity.path: {params.path} is not a file")
        return Path(params.path).read_text(encoding="utf-8")
    assert params.text
    packages = {package.package: package for package in pinned("texts")}
    if params.text.package not in packages:
        raise ValueError(
            f"params.yaml: perplexity.text.package must be one that packages.lock.yaml pins ({', '.join(packages)}), "
            f"got {params.text.package!r}"
        )
    return packages[params.text.package].read(params.text.file).decode()


def windows(text: str, tokenizer: PreTrainedTokenizerBase, params: Perplexity) -> Iterator[Sequence[int]]:
    """Token ids of windows, none across documents, with `params.tokens` at most in all."""
    left = params.tokens
    for document in without_control_tokens(text.split("\n\n"), tokenizer):
        ids = tokenizer(document.strip(), add_special_tokens=False)["input_ids"][:left]
        left -= len(ids)
        for start in range(0, len(ids), params.window):
            yield ids[start : start + params.window]
        if not left:
            return


def model_losses(name: str, text: str, params: Perplexity) -> tuple[list[Sequence[int]], list[float]]:
    """Windows of the text as a model's token ids, and its loss of each token; ValueError without text."""
    model, tokenizer = _load(name)
    ids = list(windows(text, tokenizer, params))
    if not ids:
        raise ValueError("params.yaml: perplexity: the text is empty")
    losses = [loss for window in ids for loss in token_losses(model, tokenizer.eos_token_id, window)]
    del model
    gc.collect()
    return ids, losses


def token_windows(ids: Sequence[Sequence[int]]) -> list[str]:
    """Number of the window of each token: the clusters of losses."""
    return [str(number) for number, window in enumerate(ids) for _ in window]


@torch.inference_mode()
def token_losses(model: PreTrainedModel, start: int, window: Sequence[int]) -> list[float]:
    """Negative log-likelihood in nats of every token of a window, given `start` and the tokens before it."""
    ids = torch.tensor([[start, *window]], device=model.device)
    logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    return F.cross_entropy(logits.float(), ids[0, 1:], reduction="none").tolist()


def _load(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a VLM's directory or a language model."""
    config = Path(name) / "config.json"
    if config.exists() and "vision_config" in json.loads(config.read_text()):
        model, processor = load_vlm(name)
        return model, processor.tokenizer
    loaded = load_language_model(language_model_folder(name, "perplexity.models"))
    return loaded.model, loaded.tokenizer


def _perplexities(value: float, low: float, high: float) -> dict[str, Any]:
    """Perplexities from mean losses, or ratios of perplexities from their differences."""
    numbers = {"value": value, "low": low, "high": high}
    return {name: round(math.exp(number), DECIMALS) for name, number in numbers.items()}


def tracked_metrics(results: dict[str, Any]) -> dict[str, Any]:
    """Metrics tracked by DVC: each model's perplexity."""
    return {"tokens": results["tokens"], "perplexity": {name: one["value"] for name, one in results["models"].items()}}
