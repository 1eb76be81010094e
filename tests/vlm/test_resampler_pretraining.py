import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from synthpairs.models.vq_tokenizer import TokenPicture
from synthpairs.vlm.examples import caption_examples, collate
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import assemble, load
from synthpairs.vlm.params import Lora, Training
from synthpairs.vlm.pretraining import PROJECTOR
from synthpairs.vlm.resampler_pretraining import BagOfWordsObjective, bag_of_words_collator, prepare, pretrain_tokens
from synthpairs.vlm.training import CausalLMObjective
from tests.vlm.conftest import WORDS, vicuna
from tests.vlm.conftest import _picture as picture_of


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


def test_without_words_the_resampler_is_trained_through_the_language_model(
    parts, resampler, coded_pairs, training, tmp_path
):
    llm = Path(shutil.copytree(parts.llm, tmp_path / "llm"))
    weights = load_file(llm / "model.safetensors")
    weights["model.embed_tokens.weight"] *= 20  # of random weights the logits hardly depend on anything
    save_file(weights, llm / "model.safetensors", {"format": "pt"})
    plain, settings = replace(resampler, words=None), Training(**training | {"epochs": 20.0})
    parts = replace(parts, llm=str(llm))
    metrics = pretrain_tokens(coded_pairs(40), parts, plain, settings, tmp_path / "pretrained")
    assert (metrics["steps"], metrics["words"]) == (200, 0)
    assert metrics["loss_last"] < metrics["loss_first"] - 0.3
    model, processor = assemble(parts, plain)
    model.model.multi_modal_projector.load_state_dict(load_file(tmp_path / "pretrained" / PROJECTOR))
    examples = caption_examples(coded_pairs(5), processor, 120)[0]
    objective, vectors = CausalLMObjective(model), torch.stack([example.pixels for example in examples])
    with torch.no_grad():
        right, wrong = (
            objective(**collate(examples) | {"pixel_values": shown})["loss"] for shown in (vectors, vectors.roll(1, 0))
        )
    assert right < wrong  # it says which caption is whose


@pytest.mark.parametrize("layers", [None, 0])
def test_finetune_by_lora_or_of_the_resampler_alone(
    resampler, coded_pairs, instructions, training, tuning, tmp_path, parts, layers
):
    """What a Vicuna of 7 billion weights can be tuned by on one GPU."""
    vicuna(tmp_path / "vicuna")
    vlm = replace(parts, llm=str(tmp_path / "vicuna"), chat_template="vicuna", image_token=None)
    plain = replace(resampler, words=None)
    pretrain_tokens(coded_pairs(40), vlm, plain, Training(**training), tmp_path / "pretrained")
    lora = Lora(rank=4, alpha=8.0, dropout=0.05, quantize=None) if layers is None else None
    params = tuning(trainable_layers=layers, lora=lora, max_length=400)
    finetune(instructions(12), tmp_path / "pretrained", vlm, params, tmp_path / "tuned", plain)
    tuned, processor = load(tmp_path / "tuned")
    before, _ = assemble(vlm, plain)
    same = [
        torch.equal(weight.float(), tuned.get_parameter(name).float())
        for name, weight in before.named_parameters()
        if ".layers." in name and weight.ndim > 1
    ]
    assert not any(same) if lora else all(same)
    assert torch.equal(before.lm_head.weight.float(), tuned.lm_head.weight.float())
    inputs = processor(text="USER: <image>\nwhat? ASSISTANT:", images=picture_of(0), return_tensors="pt")
    assert tuned(**inputs).logits.isfinite().all()


def test_nothing_to_train_is_an_error(parts, resampler, coded_pairs, instructions, training, tuning, tmp_path):
    pretrain_tokens(coded_pairs(4), parts, resampler, Training(**training), tmp_path / "pretrained")
    lora = Lora(rank=4, alpha=8.0, dropout=0.05, quantize=None)
    for changed, message in (
        ({"lora": lora}, r"finetune_tokens\.lora must be null where finetune_tokens\.trainable_layers is 0"),
        ({"projector_learning_rate": 0.0}, "trainable_layers 0 and projector_learning_rate 0 leave nothing to train"),
    ):
        params = tuning(trainable_layers=0, **changed)
        with pytest.raises(ValueError, match=message):
            finetune(instructions(6), tmp_path / "pretrained", parts, params, tmp_path / "tuned", resampler)


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
