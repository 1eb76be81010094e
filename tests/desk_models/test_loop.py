import pytest
import torch
from torch import nn

from desk_models import loop


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(name, seconds, monkeypatch, last_step=None):
    """Train with a clock that counts one second a step; die before step `last_step`."""
    ticks, steps = iter(range(10**6)), iter(range(10**6))

    def loss_of(model, rng):
        if next(steps) == last_step:
            raise Killed
        inputs = torch.from_numpy(rng.standard_normal((8, 4))).float() + 0.1 * torch.rand(8, 4)
        return (model(inputs) - inputs.sum(dim=1, keepdim=True)).square().mean()

    monkeypatch.setattr(loop.time, "monotonic", lambda: float(next(ticks)))
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    schedule = loop.Schedule(minutes=seconds / 60, batch=8, learning_rate=0.1, ema=0.9, checkpoint_s=10)
    loop.train(model, loss_of, schedule, 0, name)
    return model


def test_training_learns(monkeypatch):
    torch.testing.assert_close(run("a", 400, monkeypatch).weight, torch.ones(1, 4), atol=0.05, rtol=0)


def test_a_resumed_training_equals_an_uninterrupted_one(monkeypatch):
    whole = run("whole", 60, monkeypatch)
    with pytest.raises(Killed):
        run("cut", 60, monkeypatch, last_step=36)
    assert torch.equal(run("cut", 60, monkeypatch).weight, whole.weight)
