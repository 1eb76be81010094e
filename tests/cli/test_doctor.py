"""The doctor names what is wrong, and finds nothing in the project as it is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from synthpairs.__main__ import main
from synthpairs.cli import doctor, presets

ROOT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's params and its desk models."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models/desk").symlink_to(ROOT / "models/desk")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def errors():
    return {check.subject: check.error for check in doctor.check_all() if check.error}


def warnings():
    return {check.subject: check.warning for check in doctor.check_all() if check.warning}


def put(project, *overrides):
    """Set values in params.yaml as `dvc exp run -S` does."""
    apply_overrides(project / "params.yaml", list(overrides))


def edit(project, *changes):
    text = (project / "params.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text)


def test_every_section_has_its_dataclass():
    assert set(YAML(typ="safe").load(ROOT / "params.yaml")) == set(doctor.SECTIONS)


def test_the_project_as_it_is(project):
    assert (errors(), warnings()) == ({}, {})
    subjects = [check.subject for check in doctor.check_all()]
    assert f"params.yaml: {len(doctor.SECTIONS)} sections are valid" in subjects
    assert "engine: local, as many workers as fit" in subjects
    assert "vlm.llm: models/llm, made by a stage of `dvc repro`" in subjects


def test_the_last_line_is_the_verdict(project, capsys, caplog):
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.endswith("\nready: `dvc repro`\n")
    put(project, "images.generator=models/nothing")
    assert main(["doctor"]) == 1
    assert caplog.messages[-1] == "error: 1 thing to mend: see FAIL above"


def test_a_run_that_is_too_large_for_the_machine(project, monkeypatch):
    monkeypatch.setattr(doctor.torch.cuda, "device_count", lambda: 0)
    put(project, "images.image_size=1024", "images.dtype=float16", "captions.generated.per_concept=1000000")
    lacking = {subject.split(":")[0]: error for subject, error in errors().items()}
    assert set(lacking) == {"disk", "memory", "images.image_size"}
    assert re.fullmatch(
        r"data, models and cache need about \d\d\d,\d\d\d GiB: captions \d+, images [\d,]+, .*", lacking["disk"]
    )
    assert lacking["memory"] == "about 61 GiB are needed: select 61"  # 1 KiB for each of 64 million candidates
    assert re.match(r"there is no GPU; the whole run would take an A100 some \d", lacking["images.image_size"])
    assert list(warnings()) == ["images.dtype: float16"]
    listed = [check for check in doctor.check_all() if check.subject.startswith("GPU memory, by calculation in GiB: ")]
    assert [re.search("images (\\d+)", check.subject)[1] for check in listed] == ["118"]  # 32 images at a time
    monkeypatch.setattr(doctor.torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(doctor.torch.cuda, "get_device_name", lambda number: "a GPU")
    for smallest, lacks in ((100, True), (150, False)):
        sizes = [SimpleNamespace(total_memory=gib * 2**30) for gib in (200, smallest)]
        monkeypatch.setattr(doctor.torch.cuda, "get_device_properties", sizes.__getitem__)
        (check,) = [check for check in doctor.check_all() if check.subject == f"GPU memory: {smallest} GiB"]
        assert (check.warning or "").startswith("by calculation stages need more: images 118;") == lacks


@pytest.mark.parametrize(("fast", "slow"), [(True, []), (False, ["images.dtype: bfloat16"])])
def test_bfloat16_is_slow_on_cpus_without_it(project, monkeypatch, fast, slow):
    monkeypatch.setattr(doctor.torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(doctor.torch.cpu, "get_capabilities", lambda: {"avx512_bf16": fast})
    put(project, "images.dtype=bfloat16")
    assert list(warnings()) == slow


def test_a_missing_package_of_a_training(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    lora = "{rank: 8, alpha: 8, dropout: 0, quantize: nf4}"
    put(project, f"finetune.lora={lora}", f"finetune_tokens.lora={lora}")
    for section in ("finetune", "finetune_tokens"):
        error = errors()[f"{section}.lora"]
        assert error.startswith(
            f"params.yaml: {section}.lora.quantize: nf4 needs the package bitsandbytes: pip install"
        )


def test_without_arms_nothing_is_asked_of_their_trainings(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delenv("SYNTHPAIRS_LLM_URL", raising=False)
    (project / "presets").mkdir()

    def asked(**values):
        (project / "presets/some.yaml").write_text(json.dumps(values))
        presets.apply("some")
        return set(errors())

    lora = {"rank": 8, "alpha": 8, "dropout": 0, "quantize": "nf4"}
    finetune = {"lora": lora, "instructions": {"path": "a.json", "images": None}}
    judge, images = {"preference.engine: server"}, {"finetune.lora", "finetune.instructions"}
    tokens = {"finetune_tokens.lora", "finetune_tokens.instructions", "resampler.tokenizer: models/nothing"}
    every = asked(
        finetune=finetune,
        finetune_tokens=finetune,
        resampler={"tokenizer": "models/nothing"},
        preference={"engine": "server"},
    )
    assert every == judge | images | tokens
    assert asked(arms=["selected", "random"]) == images | tokens  # nothing is judged without `real`
    assert asked(arms=[]) == tokens
    assert asked(token_arms=[]) == set()


def test_missing_models(project):
    (project / "models/empty").mkdir()
    put(project, "images.generator=models/nothing", "scores.clip=ViT-B-32", "scores.pretrained=openai",
        "vlm.vision_tower=models/empty")  # fmt: skip
    wrong = errors()
    assert wrong["images.generator: models/nothing"].startswith("is not a directory")
    assert (
        "`python -m synthpairs safetensors OWNER/NAME@REVISION models/nothing`"
        in wrong["images.generator: models/nothing"]
    )
    assert wrong["vlm.vision_tower: models/empty"].startswith("has no *.safetensors")
    assert wrong["scores.clip: ViT-B-32"].endswith(
        "were trained with QuickGELU, which ViT-B-32 lacks: write ViT-B-32-quickgelu"
    )


def test_a_hub_is_asked_for_files_that_are_loaded(project, loopback_hub, monkeypatch):
    (project / "pickles").mkdir()
    (project / "pickles/pytorch_model.bin").write_bytes(b"")
    loopback_hub.models = {f"owner/{name}": ROOT / "models/desk/generator" for name in ("good", "gated")}
    loopback_hub.models["owner/pickles"] = project / "pickles"
    loopback_hub.gated.add("owner/gated")
    put(project, "images.generator=owner/good@main", "generate_tokens.generator=owner/gated@main",
        "vlm.llm=owner/pickles@main", "perplexity.models=[owner/pickles@main]", "vlm.vision_tower=owner/none@main")  # fmt: skip
    wrong = {subject: error for subject, error in errors().items() if subject.endswith("from its hub")}
    assert set(wrong) == {
        "generate_tokens.generator: owner/gated@main, from its hub", "vlm.vision_tower: owner/none@main, from its hub",
        "vlm.llm, perplexity.models: owner/pickles@main, from its hub",
    }  # fmt: skip
    messages = (
        "owner/gated is gated",
        "has no *.safetensors, and nothing else is loaded; if it has pytorch_model*.bin, run `",
        "the hub has no model owner/none",
    )
    assert all(any(error.startswith(message) for error in wrong.values()) for message in messages)
    assert not loopback_hub.fetched
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert not any(" hub" in subject for subject in errors())
    (warned,) = (check for check in doctor.check_all() if " hub" in check.subject)
    assert warned.subject.count("@main") == 4
    assert warned.warning == "not checked: the hub cannot be reached (ConnectError)"


def test_what_the_paper_preset_needs_beside_models(project, monkeypatch):
    (project / "presets").symlink_to(ROOT / "presets")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setitem(sys.modules, "kenlm", None)
    monkeypatch.delenv("SYNTHPAIRS_LLM_URL", raising=False)
    presets.apply("paper")
    subjects = {"captions.perplexity.engine: kenlm", "captions.perplexity.kenlm: models/kenlm", "finetune.instructions",
                "captions.judge.engine, preference.engine: server"}  # fmt: skip
    assert subjects < set(errors())
    assert "captions.sources: human" in errors()
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert "OPENAI_API_KEY" in warnings()["external_benchmarks.pictures: mmvet"]
    (project / "models/kenlm").mkdir()
    for file in ("models/kenlm/en.arpa.bin", "models/kenlm/en.sp.model", "corpora/llava_v1_5_mix665k.json"):
        (project / file).parent.mkdir(exist_ok=True)
        (project / file).write_bytes(b"")
    (project / "corpora/llava_665k").mkdir()
    monkeypatch.setenv("SYNTHPAIRS_LLM_URL", "http://127.0.0.1:9/v1")
    assert subjects & set(errors()) == {"captions.perplexity.engine: kenlm"}


def test_hub_models_without_a_network(project, monkeypatch):
    edit(project, ("generator: models/desk/masked", "generator: amused/amused-256@abc"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(project / "hub"))
    name = "generate_tokens.generator: amused/amused-256@abc, from its hub"
    assert "HF_HUB_OFFLINE is set" in errors()[name]
    (project / "hub/models--amused--amused-256/snapshots/abc").mkdir(parents=True)
    assert name not in errors()


def test_wrong_runtime_settings(project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.setattr(doctor.torch.cuda, "is_available", lambda: False)
    (project / "runtime.yaml").write_text("workers: 2\ndevices: [0]\n")
    assert errors()["engine"] == "runtime.yaml: devices: there is no accelerator 0: this process can see none"
    (project / "runtime.yaml").write_text("worker: 2\n")
    assert errors()["engine"].startswith("runtime.yaml: worker is not a known setting")


def test_files_of_dvc_that_a_kill_has_cut(project, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for name in ("dvc.yaml", "dvc.lock"):
        shutil.copy(ROOT / name, project)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init"], ["add", "dvc.lock"], [*identity, "commit", "-m", "run"]):
        subprocess.run(["git", *command], check=True, capture_output=True)
    assert errors() == {}
    lock = project / "dvc.lock"
    lock.write_text(lock.read_text()[:20_000])
    (project / ".dvc/tmp").mkdir(parents=True)
    (project / ".dvc/tmp/rwlock").touch()
    found = errors()
    assert "type `git checkout dvc.lock`" in found["dvc.lock"]
    assert "type `rm .dvc/tmp/rwlock`" in found[".dvc/tmp/rwlock"]


def test_missing_params_are_one_error_without_a_traceback(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert errors()["params.yaml"] == "params.yaml is not here, nor in a folder above: this is no project"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\nreport:\n", "\nreport:\n\tseed: 0\n", r"line \d+: found character that cannot start any token"),
        ("\n- selected\n- random\n", "\n- [selected\n- random\n", r"line \d+: did not find expected ',' or ']'"),
        ("\nreport:\n", "\nworld: {concepts: []}\nreport:\n", r'line \d+: found duplicate key "world"'),
    ],
)
def test_an_invalid_file_is_one_error_and_the_rest_is_checked(project, capsys, old, new, message):
    edit(project, (old, new))
    wrong = errors()
    assert set(wrong) == {"params.yaml"}
    assert re.match(rf"params.yaml: not valid YAML: {message}", wrong["params.yaml"])
    for command in (["estimate"], ["preset", "none"], ["preset", "none", "--as-flags"]):
        assert main(command) == 1
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "ok   engine: " in shown
    assert "warn disk: " in shown


def test_each_error_is_a_check_of_its_own(project):
    edit(project, ("\ngallery:\n", "\ngallery: null\ngalery:\n"), ("sources: []", "sources: [corpora/a.tsv]"),
         ("  concepts:\n  - monkey\n  - dog\n",
          "  concept: 5\n  concepts:\n  - 5\n  - 6\n"),
         ("\n- real-tokens\n- genpair\n- synthetic\n", " null\n"))  # fmt: skip
    wrong = [check.error for check in doctor.check_all() if check.error]
    texts = [
        "no stage reads it: is it misspelt?",
        "params.yaml: world.concept is not a known key; known are concepts",
        "params.yaml: world.concepts[0] must be of type str, got 5",
        "params.yaml: world.concepts[1] must be of type str, got 6",
        "params.yaml: captions.sources[0] must be a mapping, got 'corpora/a.tsv'",
        "params.yaml: token_arms must be a list, got None",
        "params.yaml: gallery must be a mapping, got None",
    ]
    assert len(wrong) == len(texts)
    assert all(error.startswith(text) for error, text in zip(wrong, texts, strict=True))


SOURCE = {
    "name": "cc3m", "path": "", "format": "tsv", "columns": {"text": "0", "image": None, "source": None}, "images": None,
    "limit": 5,
    "licence": None,
}  # fmt: skip


def test_missing_files_of_sources(project):
    (project / "corpora").mkdir()
    (project / "corpora/a.tsv").write_text("a cat\tb\n")
    image = {"columns": {"text": "0", "image": "1", "source": None}}
    sources = [
        SOURCE | {"path": "corpora/a.tsv"}, SOURCE | {"path": "corpora"}, SOURCE | {"path": "corpora/*.tsv"},
        SOURCE | {"path": "corpora/b.tsv"}, SOURCE | {"path": "corpora", "format": "parquet"},
        SOURCE | {"path": "corpora/*.csv"}, SOURCE | {"path": "nowhere", "format": "huggingface"},
        SOURCE | {"path": "corpora/c.tsv", "images": "corpora/pictures"} | image,
    ]  # fmt: skip
    edit(project, ("sources: []", f"sources: {json.dumps(sources)}"))
    wrong = [check.error for check in doctor.check_all() if check.subject.startswith("captions.sources")]
    assert wrong[:3] == [None] * 3
    keys = [(3, "path"), (4, "path"), (5, "path"), (6, "path"), (7, "images"), (7, "path")]
    assert [error.split(": ")[1] for error in wrong[3:]] == [f"captions.sources[{index}].{key}" for index, key in keys]


def test_a_source_may_have_no_limit(project):
    (project / "a.tsv").write_text("a cat\tb\n")
    edit(project, ("sources: []", f"sources: {json.dumps([SOURCE | {'path': 'a.tsv', 'limit': None}])}"))
    assert errors() == {}
    (warning,) = warnings().values()
    assert "estimate --captions N" in warning
