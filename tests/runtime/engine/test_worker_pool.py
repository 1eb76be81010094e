"""The pool that the settings ask for, and settings that do not fit the machine."""

import pytest
import torch

from synthpairs.core.determinism import best_device, cpu_only
from synthpairs.runtime.engine.worker_pool import check, worker_pool
from synthpairs.runtime.settings import Runtime


@pytest.fixture
def accelerators(monkeypatch):
    """Makes torch see `count` accelerators; `visible` is CUDA_VISIBLE_DEVICES."""

    def see(count, visible=None):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return see


@pytest.mark.parametrize(
    ("settings", "count", "size"),
    [({}, 0, None), ({}, 2, 2), ({"devices": [1]}, 2, 1), ({"workers": 3}, 2, 3), ({"workers": 0}, 2, None)],
)
def test_one_worker_per_accelerator_unless_set_otherwise(accelerators, settings, count, size):
    accelerators(count, "GPU-aa,GPU-bb" if count else None)
    with worker_pool(Runtime(**settings)) as pool:
        assert (pool and (pool.size, pool.device)) == (size and (size, "cuda"))


def test_the_driver_leaves_accelerators_to_its_workers(accelerators):
    accelerators(2)
    assert best_device().type == "cuda"
    with cpu_only(True):
        assert best_device().type == "cpu"


@pytest.mark.parametrize(
    ("devices", "variable", "visible", "message"),
    [
        ([99], None, None, r"^runtime.yaml: devices: there is no accelerator 99: this process can see none$"),
        ([1], "[1]", "GPU-aa", r"^SYNTHPAIRS_DEVICES: there is no accelerator 1: .* see 1, counted from 0 "),
        ([1], None, "GPU-aa", r"counted from 0 \(CUDA_VISIBLE_DEVICES is 'GPU-aa'\)$"),
        ([], None, "GPU-aa", r"^runtime.yaml: devices must name an accelerator, or be null for all; got an empty list"),
    ],
)
def test_accelerators_that_are_not_there_are_an_error(accelerators, monkeypatch, devices, variable, visible, message):
    if variable:
        monkeypatch.setenv("SYNTHPAIRS_DEVICES", variable)
    accelerators(int(visible is not None), visible)
    with pytest.raises(ValueError, match=message), worker_pool(Runtime(devices=devices)):
        pass


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ({"address": "auto"}, "runtime.yaml: address has no effect with engine: local"),
        ({"gpus": 1.0}, "runtime.yaml: gpus has no effect with engine: local"),
        ({"engine": "ray", "devices": [0]}, "runtime.yaml: devices has no effect with engine: ray"),
        ({}, ""),
    ],
)
def test_settings_without_effect_are_warned_of(caplog, monkeypatch, settings, warning):
    monkeypatch.setattr("synthpairs.runtime.engine.worker_pool.find_spec", lambda name: True)
    check(Runtime(**settings))
    assert "".join(record.message for record in caplog.records) == warning


def test_an_absent_ray_is_one_line(monkeypatch):
    monkeypatch.setattr("synthpairs.runtime.engine.worker_pool.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^runtime.yaml: engine: ray needs a package .*`pip install"):
        check(Runtime(engine="ray"))
