import math

import pytest
import torch

from synthpairs.models.language.likelihood import perplexity, yes_probability


def test_perplexity_counts_all_tokens_whatever_the_batch(lm):
    texts = ["a dog", "x", "", "a rather longer caption about an elephant"]
    values = perplexity(lm, texts, 4)
    assert values[2] == math.inf
    for number in (0, 1, 3):
        ids = torch.tensor([[*lm.ids("\n"), *lm.ids(texts[number])]])
        with torch.inference_mode():
            expected = lm.model(ids, labels=ids).loss.exp().item()
        assert values[number] == pytest.approx(expected, rel=1e-4)
        assert perplexity(lm, [texts[number]], 1)[0] == pytest.approx(values[number], rel=1e-4)


def test_yes_probability_compares_yes_and_no_as_the_next_token(lm):
    prompts = ["Write about: a dog", "x", "Write about: a rose and a bus"]
    values = yes_probability(lm, prompts, 2)
    for prompt, value in zip(prompts, values, strict=True):
        with torch.inference_mode():
            shares = lm.model(torch.tensor([lm.ids(prompt)])).logits[0, -1].softmax(0)
        yes, no = shares[lm.ids("Yes")[0]].item(), shares[lm.ids("No")[0]].item()
        assert value == pytest.approx(yes / (yes + no), rel=1e-4)
    assert yes_probability(lm, prompts[:1], 1)[0] == pytest.approx(values[0], rel=1e-4)
