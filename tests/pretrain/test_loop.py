"""A training that is killed and resumed ends where one that was not ends."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pretrain import loop


def loss_of(model: nn.Module, rng: np.random.Generator) -> Tensor:
    inputs = torch.from_numpy(rng.standard_normal((8, 4))).float()
    return (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()


def run(checkpoint: Path, seconds: int, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Train with a clock that counts one second a step."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    schedule = loop.Schedule(minutes=seconds / 60, batch=8, learning_rate=0.1, ema=0.9, checkpoint_s=10)
    loop.train(model, loss_of, schedule, 0, checkpoint)
    return model


def test_training_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = run(tmp_path / "a.pt", 400, monkeypatch)
    torch.testing.assert_close(model.weight, torch.ones(1, 4), atol=0.05, rtol=0)


def test_resumed_training_sees_the_batches_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole.pt", 60, monkeypatch)

    class Killed(Exception):
        pass

    calls = []

    def dies(model: nn.Module, rng: np.random.Generator) -> Tensor:
        calls.append(1)
        if len(calls) == 37:
            raise Killed
        return loss_of(model, rng)

    ticks = iter(range(10**6))
    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    schedule = loop.Schedule(minutes=1, batch=8, learning_rate=0.1, ema=0.9, checkpoint_s=10)
    torch.manual_seed(0)
    with pytest.raises(Killed):
        loop.train(nn.Linear(4, 1), dies, schedule, 0, tmp_path / "cut.pt")
    resumed = run(tmp_path / "cut.pt", 60, monkeypatch)
    assert torch.equal(resumed.weight, whole.weight)
