"""The doctor finds what is broken, names it, and finds nothing in the project as it is."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from synthpairs.__main__ import main
from synthpairs.cli import doctor

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's params and pinned packages, its desk models, and .dvc, with no git around them."""
    for name in ("params.yaml", "packages.lock.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/desk").symlink_to(ROOT / "models/desk")
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    return tmp_path


def faults():
    return {finding.what: finding.fault for finding in doctor.examine() if finding.fault}


def edit(project, old, new):
    text = (project / "params.yaml").read_text()
    assert old in text
    (project / "params.yaml").write_text(text.replace(old, new))


def test_every_section_has_its_dataclass():
    assert set(YAML(typ="safe").load(ROOT / "params.yaml")) == set(doctor.SECTIONS)


def test_the_project_as_it_is(project, monkeypatch):
    found = doctor.examine()
    wrong = [(finding.what, finding.fault) for finding in found if finding.fault]
    ((what, fault),) = wrong
    assert what == "git repository"
    assert fault.startswith("git: not a git repository")
    assert fault.endswith("; `git init`, or clone the project")
    assert any(finding.what.startswith("cores: ") for finding in found)
    assert not any(finding.warning for finding in found)


def test_what_the_plan_needs_and_the_machine_lacks(project, monkeypatch):
    monkeypatch.setattr(doctor.torch.cuda, "device_count", lambda: 0)
    edit(project, "side: 64                          # pixels, a m", "side: 1024  # m")
    edit(project, "dtype: float32                    # bfloat16", "dtype: float16  # bfloat16")
    edit(project, "per_concept: 10\n", "per_concept: 1000000\n")
    found = faults()
    lacking = {what.split(":")[0]: fault for what, fault in found.items() if what != "git repository"}
    assert set(lacking) == {"disk", "memory", "images.side"}
    assert re.fullmatch(r"data, models and cache take about \d\d\d,\d\d\d GiB", lacking["disk"])
    assert lacking["memory"] == "about 61 GiB are needed"  # 1 KiB for each of 64 million candidates
    assert re.match(r"no GPU can be seen; an A100 would take some \d", lacking["images.side"])
    (warned,) = [finding for finding in doctor.examine() if finding.warning]
    assert warned.what == "images.dtype: float16"


@pytest.mark.parametrize(("fast", "warned"), [(True, []), (False, ["images.dtype: bfloat16"])])
def test_bfloat16_is_for_cpus_that_multiply_it(project, monkeypatch, fast, warned):
    monkeypatch.setattr(doctor.torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(doctor.torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    edit(project, "dtype: float32                    # bfloat16", "dtype: bfloat16  # bfloat16")
    assert [finding.what for finding in doctor.examine() if finding.warning] == warned


def test_a_package_that_a_training_wants(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for section in ("align_codes:", "experiments:"):  # which follow the two that have adapters
        before, after = (project / "params.yaml").read_text().split(f"\n{section}")
        at = before.rindex("  lora:\n")
        before = before[:at] + before[at:].replace(":", ": {rank: 8, alpha: 8, dropout: 0, quantize: nf4}", 1)
        (project / "params.yaml").write_text(f"{before}\n{section}{after}")
    for section in ("finetune", "finetune_codes"):
        told = faults()[f"params.yaml: {section}"]
        assert told.startswith(f"params.yaml: {section}.lora.quantize: nf4 needs the package bitsandbytes: pip install")


def test_models_that_are_not_there(project):
    text = (project / "params.yaml").read_text()
    text = text.replace("generator: models/desk/generator", "generator: models/nothing")
    text = text.replace("generator: models/desk/masked", "generator: amused/amused-256@abc")
    (project / "params.yaml").write_text(text)
    assert faults()["images.generator: models/nothing"].startswith("is no directory")
    assert any(finding.what.endswith("amused-256@abc, to be fetched from its hub") for finding in doctor.examine())


def test_a_directory_without_weights(project):
    (project / "models/empty").mkdir()
    edit(project, "eye: models/desk/eye", "eye: models/empty")
    assert faults()["vlm.eye: models/empty"].startswith("holds no *.safetensors")


def test_hub_models_where_there_is_no_network(project, monkeypatch):
    edit(project, "generator: models/desk/masked", "generator: amused/amused-256@abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(project / "hub"))
    name = "embed.generator: amused/amused-256@abc, to be fetched from its hub"
    assert "HF_HUB_OFFLINE is set" in faults()[name]
    (project / "hub/models--amused--amused-256/snapshots/abc").mkdir(parents=True)
    assert name not in faults()


def test_an_engine_that_does_not_fit_is_named(project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    assert "engine: local, as many workers as fit" in [finding.what for finding in doctor.examine()]
    (project / "engine.yaml").write_text("workers: 2\ndevices: [0]\n")
    assert faults()["engine"] == "engine.yaml: devices: there is no accelerator 0: this process can see none"
    (project / "engine.yaml").write_text("worker: 2\n")
    assert faults()["engine"].startswith("engine.yaml: worker is not a known setting")


def test_without_params_there_is_one_finding_not_a_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert faults()["params.yaml"] == "params.yaml is not here, nor in a folder above: this is no project"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\nreport:\n", "\nreport:\n\tseed: 0\n", r"line \d+: found character that cannot start any token"),
        ("\n- selected\n- random\n", "\n- [selected\n- random\n", r"line \d+: did not find expected ',' or ']'"),
        ("\nreport:\n", "\nworld: {concepts: []}\nreport:\n", r'line \d+: found duplicate key "world"'),
    ],
)
def test_a_broken_file_is_one_finding_and_the_rest_is_looked_at(project, capsys, old, new, message):
    edit(project, old, new)
    found = faults()
    assert set(found) == {"params.yaml", "git repository"}
    assert re.match(rf"params.yaml: not valid YAML: {message}", found["params.yaml"])
    for command in (["plan"], ["preset", "none"], ["preset", "none", "--as-flags"]):
        assert main(command) == 1
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "packages are pinned" in shown
    assert "warn disk: " in shown


def test_every_fault_is_a_finding_of_its_own(project):
    (project / "presets").mkdir()
    (project / "presets/wrong.yaml").write_text(
        "select: {strategy: best, k: 0}\ncaptions: {batch: 3}\nimages: {steps: 0}\n"
    )
    (project / "presets/broken.yaml").write_text("select: [\n")
    edit(project, "\ngallery:\n", "\ngallery: null\ngalery:\n")
    edit(project, "sources: []", "sources: [corpora/a.tsv]")
    edit(project, "  concepts:\n  - monkey\n  - dog\n", "  concept: 5\n  concepts:\n  - 5\n  - 6\n")
    edit(project, "\n- real-codes\n- genpair\n- synthetic\n", " null\n")
    (project / "packages.lock.yaml").write_text("artwork: {")
    shutil.rmtree(project / ".dvc")
    wrong = [(finding.what, finding.fault) for finding in doctor.examine() if finding.fault]
    texts = [
        "no stage reads it: is the name misspelt?",
        "params.yaml: world.concept is not a known key; known are concepts",
        "params.yaml: world.concepts[0] must be of type str, got 5",
        "params.yaml: world.concepts[1] must be of type str, got 6",
        "params.yaml: captions.sources[0] must be a mapping, got 'corpora/a.tsv'",
        "params.yaml: code_arms must be a list, got None",
        "params.yaml: gallery must be a mapping, got None",
        "presets/broken.yaml: not valid YAML",
        "presets/wrong.yaml: images.steps must be from 1 to 1000, got 0",
        "presets/wrong.yaml: select.strategy must be one of top",
        "presets/wrong.yaml: select.k must be >= 1, got 0",
        "packages.lock.yaml: not valid YAML",
        "git: not a git repository",
        "`.dvc` is missing",
    ]
    assert len(wrong) == len(texts)
    for (_, fault), text in zip(wrong, texts, strict=True):
        assert fault.startswith(text)


SOURCE = {
    "name": "cc3m", "path": "", "format": "tsv", "columns": {"text": "0", "image": None, "source": None}, "images": None,
    "limit": 5,
}  # fmt: skip


def test_the_files_of_every_source_must_be_there(project):
    (project / "corpora").mkdir()
    (project / "corpora/a.tsv").write_text("a cat\tb\n")
    image = {"columns": {"text": "0", "image": "1", "source": None}}
    sources = [
        SOURCE | {"path": "corpora/a.tsv"}, SOURCE | {"path": "corpora"}, SOURCE | {"path": "corpora/*.tsv"},
        SOURCE | {"path": "corpora/b.tsv"}, SOURCE | {"path": "corpora", "format": "parquet"},
        SOURCE | {"path": "corpora/*.csv"}, SOURCE | {"path": "nowhere", "format": "huggingface"},
        SOURCE | {"path": "corpora/c.tsv", "images": "corpora/pictures"} | image,
    ]  # fmt: skip
    edit(project, "sources: []", f"sources: {json.dumps(sources)}")
    wrong = [finding.fault for finding in doctor.examine() if finding.what.startswith("captions.sources")]
    assert wrong[:3] == [None] * 3
    keys = [(3, "path"), (4, "path"), (5, "path"), (6, "path"), (7, "images"), (7, "path")]
    assert [fault.split(": ")[1] for fault in wrong[3:]] == [f"captions.sources[{place}].{key}" for place, key in keys]


def test_a_source_may_have_no_limit(project):
    (project / "a.tsv").write_text("a cat\tb\n")
    edit(project, "sources: []", f"sources: {json.dumps([SOURCE | {'path': 'a.tsv', 'limit': None}])}")
    assert set(faults()) == {"git repository"}
    (warning,) = [finding.warning for finding in doctor.examine() if finding.warning]
    assert "plan --captions N" in warning


def test_what_git_says_is_passed_on(project, monkeypatch):
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert not faults()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to try it without another user
    (fault,) = faults().values()
    assert fault.startswith(f"git: detected dubious ownership in repository at '{project}'")
    assert "safe.directory" in fault
    assert "git init" not in fault
