"""Text generation. An answer depends on its prompt and seed alone, not on the batch."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from synthpairs.models.language.model import LanguageModel, packs
from synthpairs.models.language.params import Sampling


@torch.inference_mode()
def generate(
    lm: LanguageModel, prompts: Sequence[str], seeds: Sequence[int], sampling: Sampling, size: int, penalty: float = 1.0
) -> list[str]:
    """One answer per prompt, in order, without special tokens, in batches of `size`.

    `penalty` > 1 is the repetition penalty of Keskar et al. 2019, on the answer's tokens alone.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    eos = torch.tensor(_eos_ids(lm), device=lm.device)
    for rows, pack in packs(lm, prompts, size):
        unfinished = torch.arange(len(rows), device=lm.device)
        logits = lm.logits(pack.hidden)
        for step in range(sampling.max_new_tokens):
            tokens = choose(
                logits, np.array([seeds[rows[index]] for index in unfinished], dtype=np.uint64), step, sampling
            )
            more = torch.isin(tokens, eos, invert=True)
            unfinished, tokens = unfinished[more], tokens[more]
            written = [answers[rows[index]] for index in unfinished]
            for answer, token in zip(written, tokens.tolist(), strict=True):
                answer.append(token)
            if not written or step + 1 == sampling.max_new_tokens:
                break
            logits = lm.logits(pack.append(unfinished, tokens))
            if penalty != 1:
                penalise(logits, written, penalty)
    return [str(lm.tokenizer.decode(answer, skip_special_tokens=True)) for answer in answers]


def choose(logits: Tensor, seeds: np.ndarray, step: int, sampling: Sampling) -> Tensor:
    """Sample the next token of each row of `logits` [row, vocabulary] by the Gumbel-max trick."""
    if sampling.temperature == 0:
        return logits.argmax(1)
    candidates, tokens = (logits / sampling.temperature).topk(min(sampling.top_k, logits.shape[1]))
    cumulative = logits.new_zeros(candidates.shape)  # probability of the more likely ones
    cumulative[:, 1:] = candidates.softmax(1).cumsum(1)[:, :-1]
    noise = torch.from_numpy(gumbel(seeds, step, tokens.cpu().numpy())).to(candidates)
    index = (candidates + noise).masked_fill(cumulative >= sampling.top_p, -torch.inf).argmax(1, keepdim=True)
    return tokens.gather(1, index)[:, 0]


def penalise(logits: Tensor, used: Sequence[Sequence[int]], penalty: float) -> None:
    """Repetition penalty in place: divides positive logits of each row's used tokens, multiplies negative ones."""
    for scores, tokens in zip(logits, used, strict=True):
        index = torch.tensor(sorted(set(tokens)), dtype=torch.long, device=logits.device)
        scores[index] = torch.where(scores[index] > 0, scores[index] / penalty, scores[index] * penalty)


def gumbel(seeds: np.ndarray, step: int, tokens: np.ndarray) -> np.ndarray:
    """Gumbel noise [row, token], a function of the row's seed, the step and the token's id alone."""
    mixed = _mix(_mix(seeds.astype(np.uint64))[:, None] + np.uint64(step))
    bits = _mix(mixed + tokens.astype(np.uint64))
    uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return -np.log(-np.log(uniform))


def _mix(words: np.ndarray) -> np.ndarray:
    """One step of the splitmix64 generator."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _eos_ids(lm: LanguageModel) -> list[int]:
    ids = lm.model.generation_config.eos_token_id
    return [lm.tokenizer.eos_token_id] if ids is None else [ids] if isinstance(ids, int) else list(ids)
