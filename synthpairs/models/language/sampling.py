"""Text from prompts. What a prompt is answered depends on the prompt and its seed, never on its batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from synthpairs.models.language.model import LanguageModel, prefill
from synthpairs.models.language.params import Sampling


@torch.inference_mode()
def generate(
    lm: LanguageModel, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, size: int, penalty: float = 1.0
) -> list[str]:
    """One answer per prompt, in order, without special tokens; `size` prompts at a time, a row leaves when it ends.

    `penalty` > 1 makes tokens that an answer has already used less likely (Keskar et al. 2019); the prompt's count not.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    ends = torch.tensor(_ends(lm), device=lm.device)
    for batch in prefill(lm, prompts, size):
        rows, mask, positions, cache = batch.rows, batch.mask, batch.positions, batch.cache
        logits = lm.logits(batch.hidden)
        for step in range(sampling.max_new_tokens):
            tokens = choose(logits, np.array([seeds[row] for row in rows], dtype=np.uint64), step, sampling)
            going = torch.isin(tokens, ends, invert=True).nonzero().flatten()
            if len(going) < len(rows):
                rows = [rows[place] for place in going.tolist()]
                tokens, mask, positions = tokens[going], mask[going], positions[going]
                cache.batch_select_indices(going)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                answers[row].append(token)
            if not rows or step + 1 == sampling.max_new_tokens:
                break
            mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)
            hidden = lm.run(
                tokens[:, None],
                attention_mask=mask,
                position_ids=positions[:, None],
                past_key_values=cache,
                use_cache=True,
            )
            logits, positions = lm.logits(hidden[:, -1]), positions + 1
            if penalty != 1:
                discourage(logits, [answers[row] for row in rows], penalty)
    return [str(lm.tokenizer.decode(answer, skip_special_tokens=True)) for answer in answers]


def choose(logits: Tensor, seeds: np.ndarray, step: int, sampling: Sampling) -> Tensor:
    """The next token of each row of `logits` [row, vocabulary], drawn by the Gumbel-max trick."""
    if sampling.temperature == 0:
        return logits.argmax(1)
    best, tokens = (logits / sampling.temperature).topk(min(sampling.top_k, logits.shape[1]))
    before = logits.new_zeros(best.shape)
    before[:, 1:] = best.softmax(1).cumsum(1)[:, :-1]
    noise = torch.from_numpy(gumbel(seeds, step, tokens.cpu().numpy())).to(best)
    place = (best + noise).masked_fill(before >= sampling.top_p, -torch.inf).argmax(1, keepdim=True)
    return tokens.gather(1, place)[:, 0]


def discourage(logits: Tensor, used: Sequence[Sequence[int]], penalty: float) -> None:
    """Divide positive scores of each row's used tokens by the penalty and multiply negative ones with it, in place."""
    for scores, tokens in zip(logits, used, strict=True):
        places = torch.tensor(sorted(set(tokens)), dtype=torch.long, device=logits.device)
        scores[places] = torch.where(scores[places] > 0, scores[places] / penalty, scores[places] * penalty)


def gumbel(seeds: np.ndarray, step: int, tokens: np.ndarray) -> np.ndarray:
    """Gumbel noise [row, token] as a function of each row's seed, the step and the token's id alone."""
    mixed = _mix(_mix(seeds.astype(np.uint64))[:, None] + np.uint64(step))
    bits = _mix(mixed + tokens.astype(np.uint64))
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return -np.log(-np.log(uniform))


def _mix(words: np.ndarray) -> np.ndarray:
    """The step of the splitmix64 generator: neighbouring words come out unrelated."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _ends(lm: LanguageModel) -> list[int]:
    ends = lm.model.generation_config.eos_token_id
    return [lm.tokenizer.eos_token_id] if ends is None else [ends] if isinstance(ends, int) else list(ends)
