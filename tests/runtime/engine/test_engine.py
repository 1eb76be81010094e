"""Settings of the engine: strict, from a file and the environment, outside whatever identifies a result."""

import pytest
import torch

from synthpairs.core.determinism import best_device, off_accelerators
from synthpairs.runtime.engine.engine import Engine, load_engine
from synthpairs.runtime.engine.hire import check, hired


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Writes engine.yaml and sets variables SYNTHPAIRS_ENGINE_*."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def write(file="", **variables):
        (tmp_path / "engine.yaml").write_bytes(file.encode("utf-8", "surrogateescape"))
        for name, value in variables.items():
            monkeypatch.setenv(f"SYNTHPAIRS_ENGINE_{name}", value)

    return write


@pytest.fixture
def accelerators(monkeypatch):
    """Lets this process see so many under these names; None: it sees none."""

    def see(count, visible):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return see


def test_without_a_file_this_process_works_on_a_cpu(tmp_path, monkeypatch, accelerators):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    accelerators(0, None)
    assert load_engine() == Engine()
    with hired(load_engine()) as crew:
        assert crew is None


def test_the_environment_goes_before_the_file(configure):
    configure("workers: 2  # of four\nlease_s: 60\ndevices: [0, 2]\n", WORKERS="3", DEVICES="null", COMPILE="true")
    assert load_engine() == Engine(workers=3, lease_s=60.0, compile=True)


def test_settings_travel_as_variables(configure, monkeypatch):
    configure()
    engine = Engine(kind="ray", workers=2, gpus=0.5, address="auto", devices=[1], channels_last=True)
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)
    assert load_engine() == engine


@pytest.mark.parametrize(
    ("file", "variables", "message"),
    [
        ("worker: 2", {}, r"engine.yaml: worker is not a known setting; known are kind, workers,"),
        ("workers: two", {}, r"engine.yaml: workers must be of type int, got 'two'"),
        ("tries: 0", {}, r"engine.yaml: tries must be from 1 to 100, got 0"),
        ("- ray", {}, r"engine.yaml must be a mapping of settings, got \['ray'\]"),
        ("kind: [", {}, r"engine.yaml: not valid YAML"),
        ("devices: 0", {}, r"engine.yaml: devices must be a list such as \[0, 1\], or null for all; got 0"),
        ("\udcff", {}, r"engine.yaml: not a text in UTF-8"),
        ("", {"DEVICES": "0,1"}, r"SYNTHPAIRS_ENGINE_DEVICES must be a list such as .*; got '0,1'"),
        ("", {"WORKER": "2"}, r"SYNTHPAIRS_ENGINE_WORKER is not a known setting; known are kind,"),
        ("", {"KIND": "slurm"}, r"SYNTHPAIRS_ENGINE_KIND must be one of local, ray; got 'slurm'"),
        ("", {"LEASE_S": "0.5"}, r"SYNTHPAIRS_ENGINE_LEASE_S must be >= 1, got 0.5"),
        ("", {"DEVICES": "[0"}, r"SYNTHPAIRS_ENGINE_DEVICES: not valid YAML"),
    ],
)
def test_what_cannot_be_meant_is_one_line(configure, file, variables, message):
    configure(file, **variables)
    with pytest.raises(ValueError, match=message) as error:
        load_engine()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("devices", "variables", "visible", "message"),
    [
        ([99], {}, None, r"engine.yaml: devices: there is no accelerator 99: this process can see none"),
        ([1], {"DEVICES": "[1]"}, "GPU-aa", r"SYNTHPAIRS_ENGINE_DEVICES: there is no accelerator 1: .* see 1, counted from 0 "),
        ([1], {}, "GPU-aa", r"counted from 0 \(CUDA_VISIBLE_DEVICES is 'GPU-aa'\)"),
        ([], {}, "GPU-aa", r"engine.yaml: devices must name an accelerator, or be null for all; got an empty list"),
    ],
)  # fmt: skip
def test_accelerators_that_are_not_there_are_an_error(configure, accelerators, devices, variables, visible, message):
    configure(**variables)
    accelerators(int(visible is not None), visible)
    with pytest.raises(ValueError, match=message), hired(Engine(devices=devices)):
        pass


@pytest.mark.parametrize(
    ("engine", "warned"),
    [
        (Engine(workers=1, address="auto"), "engine.yaml: address is of no use with kind: local"),
        (Engine(workers=1, gpus=1.0), "engine.yaml: gpus is of no use with kind: local"),
        (Engine(kind="ray", devices=[0]), "engine.yaml: devices is of no use with kind: ray"),
        (Engine(workers=1), ""),
    ],
)
def test_settings_of_no_use_are_warned_of(caplog, engine, warned):
    pytest.importorskip("ray")
    check(engine)
    assert "".join(record.message for record in caplog.records) == warned


def test_accelerators_are_called_as_the_process_may_see_them(accelerators):
    accelerators(2, "GPU-aa,GPU-bb")
    assert best_device().type == "cuda"
    with off_accelerators(True):
        assert best_device().type == "cpu"
    for wanted, size in ((None, 2), ([1], 1)):
        with hired(Engine(devices=wanted)) as crew:
            assert (crew.size, crew.device) == (size, "cuda")
    with hired(Engine(workers=0)) as crew:
        assert crew is None


def test_ray_is_asked_for_in_words(configure, monkeypatch):
    monkeypatch.setattr("synthpairs.runtime.engine.hire.find_spec", lambda name: None)
    configure("kind: ray")
    with (
        pytest.raises(ValueError, match=r"engine.yaml: kind: ray needs a package .*`pip install"),
        hired(load_engine()),
    ):
        pass
