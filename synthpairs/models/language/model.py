"""Loaded causal language model, and prefilling of its prompts in batches with a shared prefix."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from synthpairs.core.determinism import best_device, cast_for_compute
from synthpairs.models.hub import model_folder


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model in evaluation mode with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        """The weights' device."""
        return self.model.device

    def chat(self, messages: Sequence[tuple[str, str]]) -> str:
        """The chat template's prompt for (role, content) messages."""
        turns = [{"role": role, "content": content} for role, content in messages]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def run(self, ids: Tensor, **cache: Any) -> Tensor:
        """Last hidden states [row, token, width] of token ids [row, token]; `cache`: mask, positions, keys and values."""
        return self.model.base_model(input_ids=ids, **cache).last_hidden_state

    def logits(self, hidden: Tensor, tokens: Sequence[int] | None = None) -> Tensor:
        """Logits of all tokens, or of `tokens` computed in float32, from hidden states [..., width]."""
        head = self.model.get_output_embeddings()
        if tokens is None:
            return head(hidden).float()
        # bfloat16, on GPUs, would round them to eighths.
        return F.linear(hidden.float(), head.weight[list(tokens)].float())

    def ids(self, text: str) -> list[int]:
        """Token ids of a text without special tokens."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


@dataclass(slots=True)
class Prefilled:
    """A batch of prompts after their last token."""

    rows: list[int]  # indices of the prompts
    hidden: Tensor  # [row, width], last hidden state of the last token
    mask: Tensor  # [row, token], of the cache
    positions: Tensor  # [row], of the next token
    cache: DynamicCache


def language_model_folder(name: str, key: str) -> Path:
    """Directory of the language model that the param `key` names; errors as model_folder."""
    return model_folder(name, key, made_by="`dvc repro language_model` makes models/llm")


def load(directory: Path) -> LanguageModel:
    """Load a model directory's safetensors in `compute_dtype`, on the accelerator if there is one."""
    if not (directory / "config.json").exists():
        raise FileNotFoundError(f"{directory} holds no language model: run `dvc repro language_model` first")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", use_safetensors=True, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    return LanguageModel(cast_for_compute(model).eval().to(best_device()), tokenizer)


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Indices of the sequences in batches of similar length, shortest first, to pad less."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.inference_mode()
def prefill(lm: LanguageModel, prompts: Sequence[str], size: int) -> Iterator[Prefilled]:
    """Run prompts up to their last token, in batches of `size`; the prefix that all share is run once."""
    if not prompts:
        return
    ids = [lm.ids(prompt) for prompt in prompts]
    shared = min(_common_prefix(min(ids), max(ids)), min(map(len, ids)) - 1)  # each row needs a last token of its own
    prefix = DynamicCache(config=lm.model.config)
    if shared > 0:
        lm.run(torch.tensor([ids[0][:shared]], device=lm.device), past_key_values=prefix, use_cache=True)
    for rows in batches([len(row) for row in ids], size):
        tails = [ids[row][shared:] for row in rows]
        width = max(map(len, tails))
        padding = torch.tensor([width - len(tail) for tail in tails], device=lm.device)
        tokens = torch.tensor([[0] * (width - len(tail)) + tail for tail in tails], device=lm.device)
        mask = torch.ones(len(rows), shared + width, dtype=torch.long, device=lm.device)
        mask[:, shared:] = torch.arange(width, device=lm.device)[None] >= padding[:, None]
        cache = copy.deepcopy(prefix)
        if shared > 0:
            cache.batch_repeat_interleave(len(rows))
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        hidden = lm.run(tokens, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True)
        yield Prefilled(rows, hidden[:, -1], mask, mask.sum(1), cache)


def _common_prefix(one: list[int], other: list[int]) -> int:
    """Length of the common prefix; of the first and the last of sorted lists, that of all."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
