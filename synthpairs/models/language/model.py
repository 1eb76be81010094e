"""Loaded causal language model, and its prompts packed after the prefix that they share."""

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
from synthpairs.models.hub import model_folder, require_safetensors
from synthpairs.models.language.chat import render_chat

_PREFIX = -1


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
        """The chat template's prompt for (role, content) messages; see `render_chat`."""
        return render_chat(self.tokenizer, [{"role": role, "content": content} for role, content in messages])

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
        """Token ids of a prompt, without tokens that a tokenizer adds; special tokens in it are read as such."""
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)


def language_model_folder(name: str, key: str) -> Path:
    """Directory of the language model that the param `key` names; errors as model_folder."""
    folder = model_folder(name, key, made_by="`dvc repro language_model` makes models/llm")
    require_safetensors(folder, name, key)
    return folder


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


class Pack:
    """Prompts packed into one row behind the prefix that they share: each token sees the prefix and its own prompt.

    A batch with a row for each prompt would copy the prefix's keys and values into every row, which takes longer than all
    products where prompts are a few words after many examples. A window of the model's attention must not be shorter than
    prefix and prompts are.
    """

    def __init__(self, lm: LanguageModel, prefix: DynamicCache, prompts: Sequence[Sequence[int]]) -> None:
        self._lm, self._cache, start = lm, copy.deepcopy(prefix), prefix.get_seq_length()
        self._prompts = torch.full((start,), _PREFIX, device=lm.device)  # [key], the prompt of each
        sizes = torch.tensor([len(prompt) for prompt in prompts], device=lm.device)
        self._lengths = start + sizes  # [prompt]
        owners = torch.arange(len(prompts), device=lm.device).repeat_interleave(sizes)
        tokens = [token for prompt in prompts for token in prompt]
        positions = [start + index for prompt in prompts for index in range(len(prompt))]
        hidden = self._run(owners, tokens, positions)
        self.hidden = hidden[sizes.cumsum(0) - 1]  # [prompt, width], last hidden state of the last token

    def append(self, prompts: Tensor, tokens: Tensor) -> Tensor:
        """Last hidden states [prompt, width] of one more token for each of some prompts, given by their indices."""
        hidden = self._run(prompts, tokens, self._lengths[prompts])
        self._lengths[prompts] += 1
        return hidden

    def _run(self, owners: Tensor, tokens: Any, positions: Any) -> Tensor:
        self._prompts = torch.cat([self._prompts, owners])
        visible = (self._prompts == owners[:, None]) | (self._prompts == _PREFIX)
        visible = visible.tril(len(self._prompts) - len(owners))
        mask = torch.zeros(visible.shape, dtype=self._lm.model.dtype, device=visible.device)
        mask.masked_fill_(~visible, torch.finfo(mask.dtype).min)
        ids, places = (torch.as_tensor(row, device=self._lm.device)[None] for row in (tokens, positions))
        settings = {"position_ids": places, "past_key_values": self._cache, "use_cache": True}
        return self._lm.run(ids, attention_mask=mask[None, None], **settings)[0]


@torch.inference_mode()
def packs(lm: LanguageModel, prompts: Sequence[str], size: int) -> Iterator[tuple[range, Pack]]:
    """Prompts in packs of `size`: their indices, and the pack; the prefix that all share is run once."""
    if not prompts:
        return
    ids = [lm.ids(prompt) for prompt in prompts]
    shared = min(_common_prefix(min(ids), max(ids)), min(map(len, ids)) - 1)  # each prompt needs a token of its own
    prefix = DynamicCache()
    if shared > 0:
        lm.run(torch.tensor([ids[0][:shared]], device=lm.device), past_key_values=prefix, use_cache=True)
    for start in range(0, len(ids), size):
        rows = range(start, min(start + size, len(ids)))
        yield rows, Pack(lm, prefix, [ids[row][shared:] for row in rows])


def _common_prefix(one: list[int], other: list[int]) -> int:
    """Length of the common prefix; of the first and the last of sorted lists, that of all."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
