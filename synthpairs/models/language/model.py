"""The language model in memory, and its prompts: run in batches, with what they share run only once."""

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

from synthpairs.core.determinism import best_device, computing
from synthpairs.models.hub import model_folder


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A causal language model in evaluation mode with its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def chat(self, messages: Sequence[tuple[str, str]]) -> str:
        """The prompt that makes the model answer a conversation of (role, content) messages."""
        turns = [{"role": role, "content": content} for role, content in messages]
        return str(self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def run(self, ids: Tensor, **cache: Any) -> Tensor:
        """The last layer [row, token, width] for token ids [row, token]; `cache`: mask, positions, keys and values."""
        return self.model.base_model(input_ids=ids, **cache).last_hidden_state

    def logits(self, hidden: Tensor, tokens: Sequence[int] | None = None) -> Tensor:
        """Scores of all tokens, or of a few of them in full float32 arithmetic, from the last layer [..., width]."""
        head = self.model.get_output_embeddings()
        if tokens is None:
            return head(hidden).float()
        return F.linear(
            hidden.float(), head.weight[list(tokens)].float()
        )  # bfloat16, on GPUs, would round them to eighths

    def ids(self, text: str) -> list[int]:
        """Token ids of a text as it stands, nothing added."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


@dataclass(slots=True)
class Prefilled:
    """A batch of prompts after their last token: `rows` are their places in the caller's list.

    `hidden` [row, width] is the model's last layer at the last token, `mask` [row, token] spans the cache, and
    `positions` [row] are those of the next token.
    """

    rows: list[int]
    hidden: Tensor
    mask: Tensor
    positions: Tensor
    cache: DynamicCache


def language_model_folder(name: str, key: str) -> Path:
    """The directory of the language model that the param `key` names; of the hub only its safetensors and texts are fetched."""
    return model_folder(name, key, made_by="`dvc repro language_model` makes models/llm")


def load(directory: Path) -> LanguageModel:
    """A model directory's safetensors, on the accelerator if there is one; in float32 on a CPU (see `compute_dtype`)."""
    if not (directory / "config.json").exists():
        raise FileNotFoundError(f"{directory} holds no language model: run `dvc repro language_model` first")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto", use_safetensors=True, trust_remote_code=False)
    tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    return LanguageModel(computing(model).eval().to(best_device()), tokenizer)


def batches(lengths: Sequence[int], size: int) -> Iterator[list[int]]:
    """Places of the sequences in batches of like length, shortest first, so that little is padded."""
    order = sorted(range(len(lengths)), key=lambda place: (lengths[place], place))
    for start in range(0, len(order), size):
        yield order[start : start + size]


@torch.inference_mode()
def prefill(lm: LanguageModel, prompts: Sequence[str], size: int) -> Iterator[Prefilled]:
    """Run prompts up to their last token, `size` at a time; the tokens that open all of them run only once."""
    if not prompts:
        return
    ids = [lm.ids(prompt) for prompt in prompts]
    shared = min(_agreeing(min(ids), max(ids)), min(map(len, ids)) - 1)  # each row needs a last token of its own
    opening = DynamicCache(config=lm.model.config)
    if shared > 0:
        lm.run(torch.tensor([ids[0][:shared]], device=lm.device), past_key_values=opening, use_cache=True)
    for rows in batches([len(row) for row in ids], size):
        tails = [ids[row][shared:] for row in rows]
        width = max(map(len, tails))
        padding = torch.tensor([width - len(tail) for tail in tails], device=lm.device)
        tokens = torch.tensor([[0] * (width - len(tail)) + tail for tail in tails], device=lm.device)
        mask = torch.ones(len(rows), shared + width, dtype=torch.long, device=lm.device)
        mask[:, shared:] = torch.arange(width, device=lm.device)[None] >= padding[:, None]
        cache = copy.deepcopy(opening)
        if shared > 0:
            cache.batch_repeat_interleave(len(rows))
        places = (mask.cumsum(1) - 1).clamp(min=0)[:, shared:]
        hidden = lm.run(tokens, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True)
        yield Prefilled(rows, hidden[:, -1], mask, mask.sum(1), cache)


def _agreeing(one: list[int], other: list[int]) -> int:
    """How many tokens open both; for the first and the last of sorted lists, how many open all."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
