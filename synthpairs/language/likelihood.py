"""What the language model thinks of a text: how surprising it is, and whether it answers a question with yes."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from synthpairs.language.model import LanguageModel, batches, prefill

_YES = ("Yes", "yes", "YES", " Yes", " yes", " YES")
_NO = ("No", "no", "NO", " No", " no", " NO")


@torch.inference_mode()
def perplexity(lm: LanguageModel, texts: Sequence[str], size: int) -> list[float]:
    """Per-token perplexity of each text, exp(mean negative log-likelihood), every token counted, `size` texts at a time.

    The first token is predicted from the tokenizer's beginning-of-text token. inf for a text without tokens.
    """
    ids = [lm.ids(text) for text in texts]
    values = [float("inf")] * len(texts)
    for rows in batches([len(row) for row in ids], size):
        rows = [row for row in rows if ids[row]]
        if not rows:
            continue
        width = max(len(ids[row]) for row in rows)
        start = lm.tokenizer.bos_token_id
        inputs = torch.tensor([[start, *ids[row], *[start] * (width - len(ids[row]))] for row in rows], device=lm.device)
        lengths = torch.tensor([len(ids[row]) for row in rows], device=lm.device)
        # Padding stands on the right, where causal attention keeps it from every token that counts.
        logits = lm.logits(lm.run(inputs, use_cache=False)[:, :-1])
        losses = F.cross_entropy(logits.transpose(1, 2), inputs[:, 1:], reduction="none")
        counted = torch.arange(width, device=lm.device)[None] < lengths[:, None]
        for row, mean in zip(rows, ((losses * counted).sum(1) / lengths).tolist(), strict=True):
            values[row] = float(torch.tensor(mean, dtype=torch.float64).exp())
    return values


def yes_probability(lm: LanguageModel, prompts: Sequence[str], size: int) -> list[float]:
    """P(yes) / (P(yes) + P(no)) for the first token of the answer to each prompt, over the usual spellings of both."""
    yes, no = (_first_tokens(lm, words) for words in (_YES, _NO))
    values = [0.0] * len(prompts)
    for batch in prefill(lm, prompts, size):
        margin = lm.logits(batch.hidden, yes).logsumexp(1) - lm.logits(batch.hidden, no).logsumexp(1)
        for row, value in zip(batch.rows, margin.sigmoid().tolist(), strict=True):
            values[row] = value
    return values


def _first_tokens(lm: LanguageModel, words: Sequence[str]) -> list[int]:
    """The tokens that are one of these words by themselves; ValueError when the vocabulary splits them all."""
    tokens = sorted({ids[0] for word in words if len(ids := lm.ids(word)) == 1})
    if not tokens:
        raise ValueError(f"the language model's vocabulary has none of {', '.join(map(repr, words))} as one token")
    return tokens
