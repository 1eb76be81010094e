"""A training in two processes is the training in one: the same order, the same global batch, the same curve; it resumes."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from synthpairs.vlm import fitting
from synthpairs.vlm.examples import caption_examples
from synthpairs.vlm.llava import finetune
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Training
from synthpairs.vlm.training import Learner, train
from tests.vlm.conftest import checkpoints


@pytest.fixture
def alone(parts, instructions, aligned, tuning, tmp_path, monkeypatch):
    """The call that is spread, without its out, and its losses in this process."""
    losses = []  # micro-batches are of one, so that every second process's has no picture now and then
    monkeypatch.setattr(fitting, "train", lambda *arguments: losses.append(train(*arguments)) or losses[-1])
    call = ("finetune", instructions(40), aligned, parts, tuning(micro_batch=1, learning_rate=1e-3, max_steps=8))
    finetune(*call[1:], tmp_path / "alone")
    return call, losses[0]


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on_where_they_were_killed(spread, alone, tmp_path):
    call, losses = alone
    whole = spread(2, *call, tmp_path / "whole")
    np.testing.assert_allclose(whole["losses"], losses, rtol=0.01)  # bfloat16, in other sums
    spread(2, *call, tmp_path / "killed", dies_at=27)
    assert checkpoints() == ["checkpoint-6"]
    assert spread(2, *call, tmp_path / "killed") == whole
    once, again = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all((once[name] == again[name]).all() for name in once)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_divided_among_two_processes_trains_as_one_and_goes_on(spread, alone, tmp_path):
    call, losses = alone
    settings = {"SYNTHPAIRS_FSDP": "on", "SYNTHPAIRS_RECOMPUTE": "on", "on_cpu": True}
    whole = spread(2, *call, tmp_path / "whole", **settings)
    np.testing.assert_allclose(whole["losses"], losses, rtol=0.02)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "whole"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        np.testing.assert_allclose(two[name].float(), weight.float(), atol=0.02)
    spread(2, *call, tmp_path / "killed", dies_at=27, **settings)
    (kept,) = Path(os.environ["DVC_ROOT"]).glob(".dvc/tmp/work/*/*/*/checkpoint-6")
    assert len(list(kept.glob("pytorch_model_fsdp_0/*.distcp"))) == 2  # each process's part
    np.testing.assert_allclose(spread(2, *call, tmp_path / "killed", **settings)["losses"], whole["losses"], rtol=1e-3)


def test_activations_computed_twice_change_no_loss(parts, pairs, training, tmp_path, monkeypatch):
    examples, _ = caption_examples(pairs(8), assemble(parts)[1], 80)
    losses, calls = {}, {}
    for setting in ("off", "on"):
        monkeypatch.setenv("SYNTHPAIRS_RECOMPUTE", setting)
        model = assemble(parts)[0].float()
        seen = calls[setting] = []
        model.model.language_model.layers[0].mlp.register_forward_pre_hook(lambda *_, seen=seen: seen.append(1))
        losses[setting] = train(Learner(model), examples, Training(**training), tmp_path / setting)
    assert losses["on"] == losses["off"]
    assert len(calls["on"]) == 2 * len(calls["off"])


@pytest.mark.slow
def test_where_no_model_is_divided_the_switch_is_an_error(spread, alone, tmp_path):
    """Accelerate says nothing, and every process would hold the whole model."""
    call, _ = alone
    message = "ValueError: SYNTHPAIRS_FSDP=on: accelerate divides no model on this kind of device; it takes GPUs"
    spread(2, *call, tmp_path / "whole", fails=message, SYNTHPAIRS_FSDP="on")


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "3"}, "multiple of micro_batch x processes, got 4 and 4 x 3"),
        ({"SYNTHPAIRS_FSDP": "on"}, "SYNTHPAIRS_FSDP=on needs several processes"),
        ({"SYNTHPAIRS_FSDP": "yes"}, "SYNTHPAIRS_FSDP must be on or off, got 'yes'"),
    ],
)
def test_what_does_not_go_together_is_told(parts, pairs, training, tmp_path, monkeypatch, environment, message):
    examples, _ = caption_examples(pairs(8), assemble(parts)[1], 80)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        train(Learner(assemble(parts)[0].float()), examples, Training(**training), tmp_path)
