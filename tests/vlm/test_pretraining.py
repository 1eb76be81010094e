"""The pretraining of LLaVA-1.5: metrics, resuming, starting points."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from synthpairs.core.storage import file_sha256
from synthpairs.vlm.examples import caption_examples
from synthpairs.vlm.model import assemble, write_untrained
from synthpairs.vlm.params import Pretrain
from synthpairs.vlm.pretraining import PROJECTOR, STATS, pretrain
from synthpairs.vlm.projector_init import SufficientStats, fit_projector
from tests.vlm.conftest import checkpoints
from tests.vlm.test_finetuning import START


def test_pretrain_trains_the_projector(parts, pairs, training, tmp_path):
    out = tmp_path / "pretrained"
    out.mkdir()
    (out / "of an earlier run").touch()
    metrics = pretrain(pairs(40), parts, Pretrain(**training | {"epochs": 4.0}, projector_init=None), out)
    assert [path.name for path in out.iterdir()] == [PROJECTOR]
    assert {name: tuple(weight.shape) for name, weight in load_file(out / PROJECTOR).items()} == {
        "linear_1.weight": (24, 16), "linear_1.bias": (24,), "linear_2.weight": (24, 24), "linear_2.bias": (24,),
    }  # fmt: skip
    assert metrics["loss_last"] < metrics["loss_first"]
    del metrics["loss_first"], metrics["loss_last"]
    learnt = 4 * 8 * sum(map(len, ("dog\n", "snail\n", "elephant\n", "on a red ground\n", "cat\n")))
    assert metrics == {
        "pairs": 40, "steps": 40, "epochs": 4.0, "tokens": learnt + 4 * 40 * 4, "tokens_learnt": learnt,
        "start": {}, "skipped": {"empty": 0, "control_token": 0, "too_long": 0, "unreadable_picture": 0},
    }  # fmt: skip


@pytest.mark.parametrize("start", [None, START])
def test_a_killed_pretrain_resumes_to_the_same_bytes(narrow, pairs, training, launch, tmp_path, start):
    params = Pretrain(**training, projector_init=start)
    expected = pretrain(pairs(40), narrow, params, tmp_path / "whole")
    launch(1, "pretrain", pairs(40), narrow, params, tmp_path / "resumed", dies_at=30)  # two steps after a checkpoint
    assert checkpoints() == ["checkpoint-6"]
    assert not (tmp_path / "resumed").exists()
    pretrain(pairs(40), narrow, dataclasses.replace(params, seed=4), tmp_path / "other")  # in another work store
    pretrain(pairs(39), narrow, params, tmp_path / "other")
    assert checkpoints() == ["checkpoint-6"]
    assert pretrain(pairs(40), narrow, params, tmp_path / "resumed") == expected
    assert file_sha256(tmp_path / "resumed") == file_sha256(tmp_path / "whole")
    assert checkpoints() == []


def test_pretrain_starts_from_the_untrained_model(parts, pairs, training, tmp_path):
    metrics = write_untrained(parts, tmp_path / "untrained")
    pretrain(
        pairs(8), parts, Pretrain(**training | {"learning_rate": 0.0}, projector_init=None), tmp_path / "pretrained"
    )
    start = load_file(tmp_path / "pretrained" / PROJECTOR)
    for name, weight in load_file(tmp_path / "untrained/model.safetensors").items():
        if "projector" in name:
            assert torch.equal(weight, start[name.removeprefix("multi_modal_projector.")].to(torch.bfloat16))
    assert metrics["picture_tokens"] == 4
    assert metrics["projector_parameters"] == 17 * 24 + 25 * 24
    config = json.loads((tmp_path / "untrained/config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]


def test_pretrain_starts_from_the_ridge_regression(narrow, pairs, training, tmp_path):
    params = Pretrain(**training | {"learning_rate": 0.0}, projector_init=START)
    metrics = pretrain(pairs(40), narrow, params, tmp_path / "pretrained")
    model, processor = assemble(narrow)
    stats = SufficientStats.of(model, caption_examples(pairs(40), processor, 120)[0])
    assert metrics["start"] == fit_projector(model, stats, START, "pretrain")
    assert metrics["start"].keys() == {"r2"}
    projector = model.model.multi_modal_projector.state_dict()
    written = {file: load_file(tmp_path / "pretrained" / file) for file in (PROJECTOR, STATS)}
    assert all(torch.equal(weight, projector[name]) for name, weight in written[PROJECTOR].items())
    metrics = pretrain(
        pairs(40), narrow, Pretrain(**training | {"max_steps": 0}, projector_init=START), tmp_path / "pretrained"
    )
    assert (metrics["pairs"], metrics["steps"]) == (40, 0)
    for file, values in written.items():
        again = load_file(tmp_path / "pretrained" / file)
        assert all(torch.equal(values[name], again[name]) for name in values)
