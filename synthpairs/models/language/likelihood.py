"""Perplexity of texts, and the probability of the answer yes to a question, by the language model."""

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from synthpairs.models.language.chat import without_control_tokens
from synthpairs.models.language.model import LanguageModel, batches, packs

_YES = ("Yes", "yes", "YES", " Yes", " yes", " YES")
_NO = ("No", "no", "NO", " No", " no", " NO")


@torch.inference_mode()
def perplexity(lm: LanguageModel, texts: Sequence[str], size: int) -> list[float]:
    """Per-token perplexity of each text, exp(mean negative log-likelihood), in batches of `size`; inf without tokens.

    Texts follow a line break, so the first token counts too.
    """
    start = lm.ids("\n")
    ids = [lm.ids(text) for text in without_control_tokens(texts, lm.tokenizer)]
    lengths = [len(row) for row in ids]
    values = [math.inf] * len(texts)
    for rows in batches(lengths, size):
        width = max(lengths[row] for row in rows)
        if width == 0:
            continue
        # Padded on the right, where causal attention hides it from the text.
        padded = [[*start, *ids[row], *start[:1] * (width - lengths[row])] for row in rows]
        tokens = torch.tensor(padded, device=lm.device)
        logits = lm.logits(lm.run(tokens, use_cache=False)[:, len(start) - 1 : -1])
        losses = F.cross_entropy(logits.flatten(0, 1), tokens[:, len(start) :].flatten(), reduction="none")
        for row, line in zip(rows, losses.view(len(rows), width).double().cpu(), strict=True):
            if lengths[row]:
                values[row] = math.exp(line[: lengths[row]].mean().item())
    return values


@torch.inference_mode()
def yes_probability(lm: LanguageModel, prompts: Sequence[str], size: int) -> list[float]:
    """P(yes) / (P(yes) + P(no)) of each answer's first token, summed over the usual spellings, in batches of `size`."""
    yes, no = (_first_tokens(lm, words) for words in (_YES, _NO))
    values = [0.0] * len(prompts)
    for rows, pack in packs(lm, prompts, size):
        margin = lm.logits(pack.hidden, yes).logsumexp(1) - lm.logits(pack.hidden, no).logsumexp(1)
        for row, value in zip(rows, margin.sigmoid().tolist(), strict=True):
            values[row] = value
    return values


def _first_tokens(lm: LanguageModel, words: Sequence[str]) -> list[int]:
    """Ids of the words that are single tokens; ValueError when none is."""
    tokens = sorted({ids[0] for word in words if len(ids := lm.ids(word)) == 1})
    if not tokens:
        raise ValueError(f"the language model's vocabulary has none of {', '.join(map(repr, words))} as a single token")
    return tokens
