import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.vlm.examples import caption_examples
from synthpairs.vlm.llava import PROJECTOR, finetune
from synthpairs.vlm.model import assemble, load
from synthpairs.vlm.params import Training
from synthpairs.vlm.resampler_pretraining import BagOfWordsObjective, bag_of_words_collator, prepare, pretrain_tokens
from tests.vlm.conftest import WORDS


@pytest.fixture
def coded_pairs(resampler):
    """Makes pairs in which each of the five captions has its own VQ tokens."""
    book = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    pictures = [TokenPicture(tokens, book) for tokens in np.arange(20, dtype=np.uint16).reshape(5, 2, 2)]
    return lambda count: [(f"key{number}", WORDS[number % 5], pictures[number % 5]) for number in range(count)]


def test_the_words_are_the_most_frequent_tokens_and_targets_are_weighted_by_idf(parts, resampler, coded_pairs):
    model, processor = assemble(parts, resampler)
    examples = caption_examples(coded_pairs(5), processor, 120)[0]  # of dog, snail, elephant, on a red ground, cat
    a, e, n, d, s, end = (processor.tokenizer(letter).input_ids[0] for letter in "aends\n")
    words = prepare(model, examples, 5)
    assert {a, e, n} <= set(words)
    counts = [sum(example.labels.count(word) for example in examples) for word in words]
    assert counts == sorted(counts, reverse=True)
    assert torch.equal(model.model.multi_modal_projector.words[:5], model.get_input_embeddings().weight[words].float())
    assert prepare(model, examples, 9)[:5] == words
    targets = bag_of_words_collator([d, s, end], 5, examples)(examples)["targets"]
    torch.testing.assert_close(targets.sum(1), torch.ones(5))
    assert targets[0, 0] > 0.9  # "dog": d is in two captions of five, the line end in all
    assert targets[4, 0] == targets[4, 1] == 0  # "cat"


@pytest.mark.parametrize(("count", "steps"), [(0, 0), (40, 10)])  # without pairs the resampler stays untrained
def test_finetune_starts_from_the_resampler(
    parts, resampler, coded_pairs, instructions, training, tuning, tmp_path, count, steps
):
    metrics = pretrain_tokens(coded_pairs(count), parts, resampler, Training(**training), tmp_path / "pretrained")
    assert (metrics["pairs"], metrics["steps"]) == (count, steps)
    params = tuning(projector_learning_rate=0.01)
    metrics = finetune(instructions(12), tmp_path / "pretrained", parts, params, tmp_path / "tuned", resampler)
    assert metrics["steps"] == 3
    assert np.isfinite(metrics["loss_last"])
    projector = load(tmp_path / "tuned")[0].model.multi_modal_projector.state_dict()
    before = load_file(tmp_path / "pretrained" / PROJECTOR)
    assert torch.equal(projector["middle"], before["middle"].bfloat16())  # the scale is not trained
    assert not torch.equal(projector["ask.weight"].float(), before["ask.weight"].bfloat16().float())


def test_it_learns_which_words_belong_to_the_vq_tokens(parts, resampler, coded_pairs, training, tmp_path):
    settings = Training(**training | {"epochs": 20.0, "learning_rate": 0.02})
    metrics = pretrain_tokens(coded_pairs(40), parts, resampler, settings, tmp_path / "pretrained")
    assert metrics["steps"] == 200
    assert metrics["loss_last"] < metrics["loss_first"] - 0.3
    assert metrics["words"] <= resampler.words
    model, processor = assemble(parts, resampler)
    model.model.multi_modal_projector.load_state_dict(load_file(tmp_path / "pretrained" / PROJECTOR))
    examples = caption_examples(coded_pairs(5), processor, 120)[0]
    vectors = torch.stack([example.pixels for example in examples]).float().flatten(2).transpose(1, 2)
    words = model.model.multi_modal_projector.log_probs(vectors).exp().mean(1)
    assert (words - words[[1, 2, 3, 4, 0]]).abs().sum(1).min() > 0.2  # the output depends on the picture


def test_a_killed_pretraining_resumes_to_the_same_bytes(parts, resampler, coded_pairs, training, tmp_path, monkeypatch):
    settings = Training(**training)
    pretrain_tokens(coded_pairs(40), parts, resampler, settings, tmp_path / "whole")
    forward, calls = BagOfWordsObjective.forward, []

    def killed(self, **inputs):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return forward(self, **inputs)

    monkeypatch.setattr(BagOfWordsObjective, "forward", killed)
    with pytest.raises(KeyboardInterrupt):
        pretrain_tokens(coded_pairs(40), parts, resampler, settings, tmp_path / "resumed")
    pretrain_tokens(coded_pairs(40), parts, resampler, settings, tmp_path / "resumed")
    assert len(calls) == 6 + 10 - 3  # from the checkpoint after step 3
    assert (tmp_path / "whole" / PROJECTOR).read_bytes() == (tmp_path / "resumed" / PROJECTOR).read_bytes()
