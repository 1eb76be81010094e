"""The fine-tuning of LLaVA-1.5: what is trained, adapters, resuming, starting points."""

import dataclasses
import importlib.util
import re

import pytest
import torch
from safetensors.torch import load_file

from synthpairs.core.determinism import compute_dtype
from synthpairs.core.storage import file_sha256
from synthpairs.vlm.examples import caption_examples, instruction_examples
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import assemble, load, write_untrained
from synthpairs.vlm.params import Lora, Pretrain, RidgeInit
from synthpairs.vlm.pretraining import PROJECTOR, pretrain
from synthpairs.vlm.projector_init import SufficientStats, fit_projector
from tests.vlm.conftest import changed_weights, checkpoints

LORA = Lora(rank=2, alpha=4.0, dropout=0.5, quantize=None)
QLORA = dataclasses.replace(LORA, quantize="nf4")
NEEDS_BITSANDBYTES = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="the extra `quantize` is not installed"
)
START = RidgeInit(ridge=0.1, whitening=0.5)


@pytest.mark.parametrize("lora", [None, LORA, pytest.param(QLORA, marks=NEEDS_BITSANDBYTES)])
def test_finetune_trains_projector_and_language_model(parts, instructions, tuning, tmp_path, pretrained, lora):
    params = tuning(epochs=3.0, micro_batch_size=2, lora=lora)
    with pytest.raises(FileNotFoundError, match="run `dvc repro pretrain` first"):
        finetune(instructions(4), tmp_path / "none", parts, params, tmp_path / "finetuned")
    metrics = finetune(instructions(40), pretrained, parts, params, tmp_path / "finetuned")
    assert metrics["loss_last"] < metrics["loss_first"]
    changed = changed_weights(parts, tmp_path)
    assert any("multi_modal_projector" in name for name in changed)
    for part in ("self_attn.q_proj", "mlp.down_proj"):
        assert f"language_model.model.layers.0.{part}.weight" in changed
    trained = r"projector|layers\.\d\.(self_attn|mlp)" if lora else "projector|language_model"
    assert all(re.search(trained, name) and "vision_tower" not in name for name in changed)
    assert ("language_model.model.embed_tokens.weight" in changed) == (lora is None)
    for name in ("config.json", "tokenizer.json", "processor_config.json"):
        assert (tmp_path / "finetuned" / name).read_bytes() == (tmp_path / "untrained" / name).read_bytes()
    if lora is QLORA:  # the other ones are run twice in the test of a killed finetune
        assert load(tmp_path / "finetuned")[0].dtype == compute_dtype()
        assert finetune(instructions(40), pretrained, parts, params, tmp_path / "again") == metrics
        assert file_sha256(tmp_path / "again") == file_sha256(tmp_path / "finetuned")


@pytest.mark.parametrize("lora", [None, LORA])  # dropout draws from the generator, whose state must be restored
def test_a_killed_finetune_resumes_to_the_same_bytes(parts, instructions, tuning, launch, tmp_path, pretrained, lora):
    params = tuning(micro_batch_size=2, projector_learning_rate=0.02, lora=lora)
    expected = finetune(instructions(40), pretrained, parts, params, tmp_path / "whole")
    launch(1, "finetune", instructions(40), pretrained, parts, params, tmp_path / "resumed", dies_at=30)
    assert checkpoints() == ["checkpoint-6"]
    assert finetune(instructions(40), pretrained, parts, params, tmp_path / "resumed") == expected
    assert file_sha256(tmp_path / "resumed") == file_sha256(tmp_path / "whole")


@pytest.mark.parametrize("count", [0, 1])
def test_an_arm_of_less_than_two_pairs_is_trained(narrow, pairs, instructions, training, tuning, tmp_path, count):
    """Without two different captions its projector starts at random."""
    metrics = pretrain(pairs(count), narrow, Pretrain(**training, projector_init=START), tmp_path / "pretrained")
    assert (metrics["pairs"], metrics["steps"], metrics["start"]) == (count, count, {"r2": None})
    tuned = finetune(instructions(8), tmp_path / "pretrained", narrow, tuning(projector_init=START), tmp_path / "tuned")
    assert tuned["steps"] == 2
    assert tuned["start"]["r2"] is not None


def test_the_projector_has_its_own_learning_rate(parts, instructions, tuning, tmp_path, pretrained):
    params = tuning(learning_rate=0.0, projector_learning_rate=0.01)
    finetune(instructions(8), pretrained, parts, params, tmp_path / "finetuned")
    write_untrained(parts, tmp_path / "untrained")
    after, before = (load_file(tmp_path / name / "model.safetensors") for name in ("finetuned", "untrained"))
    start = {f"multi_modal_projector.{name}": weight for name, weight in load_file(pretrained / PROJECTOR).items()}
    before |= {name: weight.to(torch.bfloat16) for name, weight in start.items()}
    assert {name for name in after if not torch.equal(after[name], before[name])} == start.keys()


@pytest.mark.parametrize("lora", [None, LORA])
def test_the_last_layers_can_be_trained_alone(parts, instructions, tuning, tmp_path, pretrained, lora):
    """With a projector that stays, nothing before them changes, and there is no gradient to compute."""
    params = tuning(learning_rate=0.01, projector_learning_rate=0.0, trainable_layers=1, lora=lora)
    finetune(instructions(8), pretrained, parts, params, tmp_path / "finetuned")
    finetune(instructions(8), pretrained, parts, tuning(max_steps=0), tmp_path / "before")
    after, before = (load_file(tmp_path / name / "model.safetensors") for name in ("finetuned", "before"))
    last = assemble(parts)[0].config.text_config.num_hidden_layers - 1
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert changed
    assert all(name.startswith(f"language_model.model.layers.{last}.") for name in changed)
    with pytest.raises(ValueError, match=rf"finetune.trainable_layers must be from 0 to {last + 1}, .* got 99"):
        finetune(instructions(8), pretrained, parts, tuning(trainable_layers=99), tmp_path / "other")


def test_finetune_can_start_from_a_regression_on_captions_and_answers(
    narrow, pairs, instructions, training, tuning, tmp_path
):
    params = tuning(max_steps=0, projector_init=START)
    pretrain(pairs(40), narrow, Pretrain(**training | {"max_steps": 0}, projector_init=START), tmp_path / "pretrained")
    metrics = finetune(instructions(40), tmp_path / "pretrained", narrow, params, tmp_path / "finetuned")
    model, processor = assemble(narrow)
    captions, _ = caption_examples(pairs(40), processor, 120)
    answers, _ = instruction_examples(instructions(40), processor, 120)
    both = SufficientStats.of(model, captions) + SufficientStats.of(model, answers)
    assert metrics["start"] == fit_projector(model, both, START, "finetune")
    assert metrics["start"] != fit_projector(model, SufficientStats.of(model, captions), START, "finetune")
    pretrain(pairs(40), narrow, Pretrain(**training, projector_init=None), tmp_path / "random")
    with pytest.raises(
        ValueError, match=r"finetune.projector_init must be null unless pretrain.projector_init is given"
    ):
        finetune(instructions(40), tmp_path / "random", narrow, params, tmp_path / "other")
