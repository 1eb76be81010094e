import pytest
from transformers import Trainer, TrainingArguments

from synthpairs.vlm.model import assemble
from synthpairs.vlm.trainer import adamw
from synthpairs.vlm.training import Learner


def settings(optimizer, learner):
    """What the optimiser does to each weight, by name."""
    names = {id(weight): name for name, weight in learner.named_parameters()}
    return {
        names[id(weight)]: {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
        for weight in group["params"]
    }


@pytest.fixture
def learner(parts):
    """All but the eye is trained, as in `finetune`."""
    model, _ = assemble(parts)
    model.float().model.vision_tower.requires_grad_(False)
    return Learner(model)


@pytest.mark.parametrize("rate", [0.5, 0.0])
def test_the_projector_has_its_rate_and_only_matrices_decay(learner, rate):
    groups = settings(adamw(learner, 0.01, rate, 0.1), learner)
    trained = {name: weight for name, weight in learner.named_parameters() if weight.requires_grad}
    assert groups.keys() == trained.keys()
    assert sum("multi_modal_projector" in name for name in groups) == 4
    for name, values in groups.items():
        assert values["lr"] == (rate if "multi_modal_projector" in name else 0.01)
        assert values["weight_decay"] == (0.1 if trained[name].ndim > 1 else 0.0)


def test_at_one_rate_the_optimiser_is_the_trainers(learner, tmp_path):
    arguments = TrainingArguments(
        str(tmp_path), learning_rate=0.01, weight_decay=0.1, optim="adamw_torch_fused", use_cpu=True, report_to="none"
    )
    theirs = Trainer(learner, arguments).create_optimizer()
    ours = adamw(learner, 0.01, 0.01, 0.1)
    assert type(ours) is type(theirs)
    assert settings(ours, learner) == settings(theirs, learner)
