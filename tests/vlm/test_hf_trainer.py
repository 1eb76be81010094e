import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from transformers import Trainer, TrainingArguments

from synthpairs.vlm.hf_trainer import adamw, check_disk_space, checkpoint_to_resume, training_arguments
from synthpairs.vlm.model import assemble
from synthpairs.vlm.params import Training
from synthpairs.vlm.training import CausalLMObjective


def settings(optimizer, objective):
    """The optimiser's settings for each weight, by name."""
    names = {id(weight): name for name, weight in objective.named_parameters()}
    return {
        names[id(weight)]: {key: value for key, value in group.items() if key != "params"}
        for group in optimizer.param_groups
        for weight in group["params"]
    }


@pytest.fixture
def objective(parts):
    """All but the vision tower is trained, as in `finetune`."""
    model, _ = assemble(parts)
    model.float().model.vision_tower.requires_grad_(False)
    return CausalLMObjective(model)


@pytest.mark.parametrize("rate", [0.5, 0.0])
def test_the_projector_has_its_own_rate_and_only_matrices_decay(objective, rate):
    groups = settings(adamw(objective, 0.01, rate, 0.1), objective)
    trained = {name: weight for name, weight in objective.named_parameters() if weight.requires_grad}
    assert groups.keys() == trained.keys()
    assert sum("multi_modal_projector" in name for name in groups) == 4
    for name, values in groups.items():
        assert values["lr"] == (rate if "multi_modal_projector" in name else 0.01)
        assert values["weight_decay"] == (0.1 if trained[name].ndim > 1 else 0.0)


def test_with_equal_rates_the_optimiser_is_the_hf_trainers(objective, tmp_path):
    arguments = TrainingArguments(
        str(tmp_path), learning_rate=0.01, weight_decay=0.1, optim="adamw_torch_fused", use_cpu=True, report_to="none"
    )
    theirs = Trainer(objective, arguments).create_optimizer()
    ours = adamw(objective, 0.01, 0.01, 0.1)
    assert type(ours) is type(theirs)
    assert settings(ours, objective) == settings(theirs, objective)


def test_a_batch_that_cannot_be_divided_names_the_param(training, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="batch_size must be a multiple of micro_batch_size, got 4 and 3"):
        Training(**training | {"micro_batch_size": 3})
    for name, value in {"LOCAL_RANK": "0", "RANK": "0", "WORLD_SIZE": "3"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(
        ValueError, match=r"pretrain_tokens\.batch_size must be a multiple .* x processes, got 4 and 4 x 3"
    ):
        training_arguments("pretrain_tokens", Training(**training), 10, tmp_path, None)


def test_the_newest_complete_checkpoint_is_resumed_and_half_written_ones_are_removed(tmp_path):
    assert checkpoint_to_resume(tmp_path) is None
    for step, state in {3: '{"global_step": 3}', 12: '{"global_step": 12}', 15: '{"global_st'}.items():
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-18").mkdir()
    assert checkpoint_to_resume(tmp_path) == tmp_path / "checkpoint-12"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-12", "checkpoint-3"]


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt", "rng_state.pth"])
@pytest.mark.parametrize(
    "damage", [lambda whole: b"", lambda whole: whole[: len(whole) // 2], lambda whole: bytes(len(whole))]
)
def test_a_checkpoint_with_a_damaged_file_is_not_resumed(tmp_path, file, damage):
    for step in (3, 12):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": step}))
        save_file({"weight": torch.zeros(9)}, folder / "model.safetensors")
        for name in ("optimizer.pt", "rng_state.pth"):
            torch.save({"state": torch.zeros(9)}, folder / name)
    assert checkpoint_to_resume(tmp_path) == tmp_path / "checkpoint-12"
    (tmp_path / "checkpoint-12" / file).write_bytes(damage((tmp_path / "checkpoint-12" / file).read_bytes()))
    assert checkpoint_to_resume(tmp_path) == tmp_path / "checkpoint-3"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-3"]


def test_a_full_disk_is_an_error(tmp_path, monkeypatch):
    layer = torch.nn.Linear(9, 10)  # 100 weights: 1,200 bytes a checkpoint, 200 the model
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2000))
    check_disk_space(tmp_path, layer, 1)
    with pytest.raises(OSError, match=r"needs .* GiB for checkpoints"):
        check_disk_space(tmp_path, layer, 2)


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, 0), (0.5, 0.5)]
)  # 0 switches it off in the HF Trainer, whose default is 1
def test_gradients_are_clipped_only_where_params_say_so(training, tmp_path, limit, expected):
    params = Training(**training | {"max_grad_norm": limit})
    assert training_arguments("pretrain", params, 10, tmp_path, None).max_grad_norm == expected
