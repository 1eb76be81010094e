from collections import Counter

import numpy as np
import pytest
import torch

from synthpairs.vlm.examples import IGNORED, caption_examples, collate, instruction_examples
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Training
from synthpairs.vlm.training import WINDOW, CausalLMObjective, train, training_order


def test_an_epoch_has_every_example_once_in_shuffled_batches_of_similar_length(training):
    lengths = np.random.default_rng(0).integers(5, 60, 4 * WINDOW)
    order = training_order(lengths, Training(**training))
    assert sorted(order) == list(range(4 * WINDOW))
    assert order == training_order(lengths, Training(**training))
    assert order != training_order(lengths, Training(**training | {"seed": 4}))
    batches = lengths[order].reshape(-1, 4)
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
    order = training_order([1] * examples, params)
    assert len(order) == steps * 4
    counts = Counter(order).values()
    assert max(counts) - min(counts) <= 1


def test_the_loss_is_the_one_of_transformers(parts, instructions):
    model, processor = assemble(parts)
    model.float()
    examples, _ = instruction_examples(instructions(8), processor, 120)
    batch = collate(examples)
    batch["pixel_values"] = batch["pixel_values"].float()
    lengths = torch.tensor([len(example.ids) for example in examples])
    mask = (torch.arange(batch["input_ids"].shape[1]) < lengths[:, None]).long()
    ours = CausalLMObjective(model)(**batch)["loss"]
    ours.backward()
    weight = model.model.multi_modal_projector.linear_1.weight
    gradient, weight.grad = weight.grad, None
    theirs = model(**batch, attention_mask=mask).loss
    theirs.backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(gradient, weight.grad)
    count = int((batch["labels"] != IGNORED).sum())
    torch.testing.assert_close(CausalLMObjective(model)(**batch, num_items_in_batch=2 * count)["loss"], theirs / 2)


@pytest.fixture
def run(parts, pairs, tmp_path):
    """Trains the whole model, in float32, in a work folder of that name; returns the losses."""

    def run(params, name="work", model=None, **settings):
        examples, _ = caption_examples(pairs(40), assemble(parts)[1], 80)
        objective = CausalLMObjective((model or assemble(parts)[0]).float())
        return train("pretrain", objective, examples, Training(**params), tmp_path / name, **settings)

    return run


def test_micro_batches_add_up_to_the_batch(run, training):
    micro = run(training | {"micro_batch_size": 1}, "micro")
    np.testing.assert_allclose(micro, run(training, "whole"), rtol=0.02)  # bfloat16, on a GPU


def test_checkpoints_hold_the_trainable_weights_alone(parts):
    model, _ = assemble(parts)
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    objective = CausalLMObjective(model)
    prefix = "vlm.model.multi_modal_projector.linear_"
    assert objective.state_dict().keys() == {f"{prefix}{part}" for part in ("1.weight", "1.bias", "2.weight", "2.bias")}
    objective.load_state_dict({name: torch.ones_like(weight) for name, weight in objective.state_dict().items()})
    assert (model.model.multi_modal_projector.linear_2.weight == 1).all()
    with pytest.raises(ValueError, match="another model"):
        objective.load_state_dict({})


def test_on_step_is_called_for_every_step_and_after_a_kill_again_from_the_checkpoint(run, training):
    steps = []

    def on_step(step):
        steps.append(step)
        if len(steps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(training, on_step=on_step)
    run(training, on_step=on_step)
    assert steps == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 10]


def test_a_loss_that_is_not_finite_ends_the_training(run, training, parts):
    model, _ = assemble(parts)
    model.model.multi_modal_projector.linear_1.weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"loss at step 1 is nan; lower pretrain\.learning_rate"):
        run(training, model=model)


def test_recomputed_activations_change_no_loss(run, parts, training, monkeypatch):
    losses, calls = {}, {}
    for setting in ("off", "on"):
        monkeypatch.setenv("SYNTHPAIRS_RECOMPUTE", setting)
        model, _ = assemble(parts)
        count = calls[setting] = []
        model.model.language_model.layers[0].mlp.register_forward_pre_hook(lambda *_, count=count: count.append(1))
        losses[setting] = run(training | {"max_steps": 2}, setting, model)
    assert losses["on"] == losses["off"]
    assert len(calls["on"]) == 2 * len(calls["off"])


@pytest.mark.parametrize(
    ("value", "message"),
    [("on", "SYNTHPAIRS_FSDP=on needs several processes"), ("yes", "SYNTHPAIRS_FSDP must be on or off, got 'yes'")],
)
def test_fsdp_in_one_process_is_an_error(run, training, monkeypatch, value, message):
    monkeypatch.setenv("SYNTHPAIRS_FSDP", value)
    with pytest.raises(ValueError, match=message):
        run(training)
