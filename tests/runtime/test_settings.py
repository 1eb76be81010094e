"""Settings of runtime.yaml and the environment; runtime.example.yaml holds the defaults."""

import pytest

from synthpairs.runtime.settings import Runtime, load_runtime
from tests.pipeline import ROOT


@pytest.fixture
def configure(tmp_path, monkeypatch):
    """Writes runtime.yaml and sets variables SYNTHPAIRS_*."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("SYNTHPAIRS_TRACKING", raising=False)

    def write(file=None, **variables):
        if file is not None:
            (tmp_path / "runtime.yaml").write_bytes(file.encode("utf-8", "surrogateescape"))
        for key, value in variables.items():
            monkeypatch.setenv(f"SYNTHPAIRS_{key}", value)

    return write


def test_the_example_holds_the_defaults(configure):
    configure()
    assert load_runtime() == Runtime()
    example = (ROOT / "runtime.example.yaml").read_text()
    configure(example)
    assert load_runtime() == Runtime()
    assert [line.split(":")[0] for line in example.splitlines() if line and line[0] != "#"] == list(Runtime.__slots__)
    configure("")
    assert load_runtime() == Runtime()


def test_the_environment_overrides_the_file(configure):
    configure(
        "workers: 2  # of four\ntimeout_s: 60\ndevices: [0, 2]\nfsdp: true", WORKERS="3", DEVICES="null", FSDP="off"
    )
    assert load_runtime() == Runtime(workers=3, timeout_s=60.0)


def test_settings_are_passed_on_as_variables(configure, monkeypatch):
    configure()
    settings = Runtime(
        engine="ray", workers=2, gpus=0.5, address="auto", devices=[1], channels_last=True, tracking=False
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert load_runtime() == settings


@pytest.mark.parametrize(("text", "value"), [("on", True), ("OFF", False), ("true", True), ("false", False)])
def test_switches_are_on_or_off(configure, text, value):
    configure(RECOMPUTE=text)
    assert load_runtime().recompute is value


@pytest.mark.parametrize(
    ("file", "variables", "message"),
    [
        ("worker: 2", {}, r"runtime.yaml: worker is not a known setting; known are tracking, log,"),
        ("workers: two", {}, r"runtime.yaml: workers must be of type int, got 'two'"),
        ("tries: 0", {}, r"runtime.yaml: tries must be from 1 to 100, got 0"),
        ("- ray", {}, r"runtime.yaml: not a mapping"),
        ("engine: [", {}, r"runtime.yaml: not valid YAML"),
        ("devices: 0", {}, r"runtime.yaml: devices must be a list, got 0"),
        ("fsdp: 1", {}, r"runtime.yaml: fsdp must be on or off, got 1"),
        ("\udcff", {}, r"runtime.yaml: not UTF-8"),
        ("", {"DEVICES": "0,1"}, r"SYNTHPAIRS_DEVICES must be a list, got '0,1'"),
        ("", {"ENGINE": "slurm"}, r"SYNTHPAIRS_ENGINE must be one of local, ray; got 'slurm'"),
        ("", {"TIMEOUT_S": "0.5"}, r"SYNTHPAIRS_TIMEOUT_S must be >= 1, got 0.5"),
        ("", {"DEVICES": "[0"}, r"SYNTHPAIRS_DEVICES: not valid YAML"),
        ("", {"LOG": "verbose"}, r"SYNTHPAIRS_LOG must be one of debug, info, warning, error; got 'verbose'"),
        (
            "",
            {"LOG": "verbose\nfurther: 1"},
            r"SYNTHPAIRS_LOG must be one of debug, info, warning, error; got 'verbose'",
        ),
        ("", {"LOG": "\udcff"}, r"SYNTHPAIRS_LOG: not UTF-8"),
        ("", {"TRACKING": "0"}, r"SYNTHPAIRS_TRACKING must be on or off, got 0"),
        ("", {"TRACKING": "no"}, r"SYNTHPAIRS_TRACKING must be on or off, got 'no'"),
        ("", {"BUDGET_HOURS": "-1"}, r"SYNTHPAIRS_BUDGET_HOURS must be >= 0, got -1"),
    ],
)
def test_wrong_settings_are_one_line(configure, file, variables, message):
    configure(file, **variables)
    with pytest.raises(ValueError, match=f"^{message}") as error:
        load_runtime()
    assert "\n" not in str(error.value)
