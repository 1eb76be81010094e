import shutil
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from synthpairs.vlm.examples import IGNORED, caption_examples, collate, instruction_examples
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Training
from synthpairs.vlm.training import WINDOW, Learner, order, train


def test_an_epoch_is_every_example_once_in_batches_of_like_length_and_no_order(training):
    lengths = np.random.default_rng(0).integers(5, 60, 4 * WINDOW)
    places = order(lengths, Training(**training))
    assert sorted(places) == list(range(4 * WINDOW))
    assert places == order(lengths, Training(**training)) != order(lengths, Training(**training | {"seed": 4}))
    batches = lengths[places].reshape(-1, 4)
    assert (batches.max(1) - batches.min(1)).mean() < 5
    assert abs(np.corrcoef(np.arange(WINDOW), batches.mean(1))[0, 1]) < 0.6


@pytest.mark.parametrize(
    ("epochs", "limit", "examples", "steps"),
    [
        (1.0, None, 40, 10),
        (2.5, None, 40, 25),
        (1.0, 3, 40, 3),
        (1.0, None, 2, 1),
        (1.0, None, 41, 10),
        (4.0, None, 3, 3),
    ],
)
def test_steps(training, epochs, limit, examples, steps):
    params = Training(**training | {"epochs": epochs, "max_steps": limit})
    assert params.steps(examples) == steps
    places = order([1] * examples, params)
    assert len(places) == steps * 4
    counts = Counter(places).values()
    assert max(counts) - min(counts) <= 1


def test_the_loss_is_the_one_of_transformers(parts, instructions):
    model, processor = assemble(parts)
    model.float()
    examples, _ = instruction_examples(instructions(8), processor, 120)
    batch = collate(examples)
    batch["pixel_values"] = batch["pixel_values"].float()
    lengths = torch.tensor([len(example.ids) for example in examples])
    mask = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
    ours = Learner(model)(**batch)["loss"]
    ours.backward()
    weight = model.model.multi_modal_projector.linear_1.weight
    gradient, weight.grad = weight.grad, None
    theirs = model(**batch, attention_mask=mask).loss
    theirs.backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, weight.grad)
    count = int((batch["labels"] != IGNORED).sum())
    torch.testing.assert_close(Learner(model)(**batch, num_items_in_batch=2 * count)["loss"], theirs / 2)


@pytest.fixture
def task(parts, pairs):
    """A learner of all the model, in float32, and examples for it."""
    model, processor = assemble(parts)
    return Learner(model.float()), caption_examples(pairs(40), processor, 80)[0]


def test_micro_batches_add_up_to_the_batch(task, parts, training, tmp_path):
    whole = train(*task, Training(**training), tmp_path / "whole")
    again = Learner(assemble(parts)[0].float())
    micro = train(again, task[1], Training(**training | {"micro_batch": 1}), tmp_path / "micro")
    np.testing.assert_allclose(micro, whole, rtol=0.02)  # bfloat16, on a GPU


def test_checkpoints_hold_what_is_trained_and_nothing_else(parts):
    model, _ = assemble(parts)
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    learner = Learner(model)
    prefix = "vlm.model.multi_modal_projector.linear_"
    assert learner.state_dict().keys() == {f"{prefix}{part}" for part in ("1.weight", "1.bias", "2.weight", "2.bias")}
    learner.load_state_dict({name: torch.ones_like(weight) for name, weight in learner.state_dict().items()})
    assert (model.model.multi_modal_projector.linear_2.weight == 1).all()
    with pytest.raises(ValueError, match="another model"):
        learner.load_state_dict({})


def test_every_step_is_watched_and_after_a_kill_those_behind_the_checkpoint_again(task, training, tmp_path):
    half, steps = tmp_path / "checkpoint-6", []
    half.mkdir()  # half-written, so it is not resumed from
    (half / "model.safetensors").write_bytes(b"cut")
    (half / "trainer_state.json").write_text('{"global_st')

    def watch(step):
        steps.append(step)
        if len(steps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(*task, Training(**training), tmp_path, watch=watch)
    train(*task, Training(**training), tmp_path, watch=watch)
    assert steps == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 10]


def test_what_cannot_go_well_ends_the_training(task, training, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="batch must be a multiple of micro_batch, got 4 and 3"):
        Training(**training | {"micro_batch": 3})
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(OSError, match=r"needs .* GiB for checkpoints"):
            train(*task, Training(**training), tmp_path)
    task[0].vlm.model.multi_modal_projector.linear_1.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="loss at step 1 is nan; lower learning_rate"):
        train(*task, Training(**training), tmp_path)
