"""Training in two processes equals training in one: the same order, the same global batch, the same losses; it resumes."""

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from synthpairs.vlm import training
from synthpairs.vlm.finetuning import finetune
from tests.vlm.conftest import checkpoints


@pytest.fixture
def alone(parts, instructions, pretrained, tuning, tmp_path, monkeypatch):
    """A call of finetune without its out, and its losses in this process."""
    losses, train = [], training.train
    monkeypatch.setattr(training, "train", lambda *arguments: losses.append(train(*arguments)) or losses[-1])
    # With micro-batches of one, some have no picture.
    call = (
        "finetune",
        instructions(40),
        pretrained,
        parts,
        tuning(micro_batch_size=1, learning_rate=1e-3, max_steps=8),
    )
    finetune(*call[1:], tmp_path / "alone")
    return call, losses[0]


@pytest.mark.slow
def test_two_processes_train_like_one_and_resume(launch, alone, tmp_path):
    call, losses = alone
    whole = launch(2, *call, tmp_path / "whole")
    np.testing.assert_allclose(whole["losses"], losses, rtol=0.01)  # bfloat16, in other sums
    launch(2, *call, tmp_path / "killed", dies_at=27)
    assert checkpoints() == ["checkpoint-6"]
    assert launch(2, *call, tmp_path / "killed") == whole
    once, again = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all((once[name] == again[name]).all() for name in once)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_sharded_among_two_processes_trains_like_one_and_resumes(launch, alone, tmp_path):
    call, losses = alone
    settings = {"SYNTHPAIRS_FSDP": "on", "SYNTHPAIRS_RECOMPUTE": "on", "on_cpu": True}
    whole = launch(2, *call, tmp_path / "whole", **settings)
    np.testing.assert_allclose(whole["losses"], losses, rtol=0.02)
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "whole"))
    assert one.keys() == two.keys()
    for name, weight in one.items():
        np.testing.assert_allclose(two[name].float(), weight.float(), atol=0.02)
    launch(2, *call, tmp_path / "killed", dies_at=27, **settings)
    (kept,) = Path(os.environ["DVC_ROOT"]).glob(".dvc/tmp/work/*/*/*/checkpoint-6")
    assert len(list(kept.glob("pytorch_model_fsdp_0/*.distcp"))) == 2  # one per process
    np.testing.assert_allclose(launch(2, *call, tmp_path / "killed", **settings)["losses"], whole["losses"], rtol=1e-3)


@pytest.mark.slow
def test_fsdp_on_a_device_without_it_is_an_error(launch, alone, tmp_path):
    """Accelerate itself would silently give every process the whole model."""
    message = "ValueError: SYNTHPAIRS_FSDP=on: accelerate shards no model on this kind of device; it needs GPUs"
    launch(2, *alone[0], tmp_path / "whole", fails=message, SYNTHPAIRS_FSDP="on")
