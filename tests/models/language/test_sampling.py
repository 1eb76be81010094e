import numpy as np
import pytest
import torch

from synthpairs.models.language.params import Sampling
from synthpairs.models.language.sampling import choose, generate

HOT = Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=12)
PROMPTS = [f"Write about: {thing}" for thing in ["a dog", "two cats", "an elephant", "x", "a rose and a bus"]]
SEEDS = [11, 12, 13, 14, 15]


def test_an_answer_depends_on_prompt_and_seed_not_on_the_batch(lm):
    together = generate(lm, PROMPTS, SEEDS, HOT, 5)
    assert generate(lm, PROMPTS, SEEDS, HOT, 2) == together
    assert generate(lm, PROMPTS[::-1], SEEDS[::-1], HOT, 3) == together[::-1]
    assert [generate(lm, [prompt], [seed], HOT, 1)[0] for prompt, seed in zip(PROMPTS, SEEDS, strict=True)] == together
    assert generate(lm, PROMPTS, [seed + 1 for seed in SEEDS], HOT, 5) != together


def test_temperature_zero_equals_greedy_generation_of_transformers(lm):
    greedy = Sampling(temperature=0.0, top_p=1.0, top_k=1, max_new_tokens=10)
    for prompt, answer in zip(PROMPTS, generate(lm, PROMPTS, [0] * 5, greedy, 3), strict=True):
        ids = torch.tensor([lm.ids(prompt)])
        expected = lm.model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=10)
        assert answer == lm.tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True)


def test_the_penalty_counts_the_answers_tokens_alone(lm):
    plain, strict = (generate(lm, PROMPTS, SEEDS, HOT, 5, penalty) for penalty in (1.0, 1e6))
    assert plain == generate(lm, PROMPTS, SEEDS, HOT, 5)
    assert strict != plain
    assert [answer[:1] for answer in strict] == [answer[:1] for answer in plain]
    assert generate(lm, PROMPTS[::-1], SEEDS[::-1], HOT, 2, 1e6) == strict[::-1]


def test_tokens_are_sampled_by_probability_within_top_p_and_top_k():
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits, seeds = shares.log().repeat(20_000, 1), np.arange(20_000, dtype=np.uint64)
    # 0.5 + 0.3 reach 0.75, so the nucleus is two tokens.
    for top_p, top_k, expected in ((1.0, 4, shares.tolist()), (0.75, 4, [0.625, 0.375, 0, 0]), (1.0, 1, [1, 0, 0, 0])):
        sampling = Sampling(temperature=1.0, top_p=top_p, top_k=top_k, max_new_tokens=1)
        drawn = choose(logits, seeds, 0, sampling).bincount(minlength=4) / 20_000
        assert drawn.tolist() == pytest.approx(expected, rel=0, abs=0.01 if top_k > 1 else 0)
