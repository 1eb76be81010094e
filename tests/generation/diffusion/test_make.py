import json
import shutil
import subprocess
from dataclasses import asdict

import pandas as pd
import pytest

from stages import images as stage
from synthpairs.core.schema import CAPTIONS
from synthpairs.core.storage import write_table
from synthpairs.generation.diffusion.make import make_images
from tests.conftest import killed_with_work, start_python
from tests.generation.conftest import TEXTS, captions_of, contents
from tests.memory import add_pictures, little_memory

PROGRAM = """
import sys
from pathlib import Path
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from tests.generation.conftest import TEXTS, captions_of
make_images(captions_of(TEXTS), Images(**{params!r}), Path({out!r}))
"""


def test_killed_and_run_again_gives_the_same_bytes(settings, tmp_path, monkeypatch):
    params = settings(batch_size=2, candidates=3, num_inference_steps=12)
    program = PROGRAM.format(params=asdict(params), out=str(tmp_path / "out"))
    work = tmp_path / ".dvc/tmp/work/images"
    stored = killed_with_work(program, work)
    assert 0 < len(stored) < 12
    assert not (tmp_path / "out/manifest.parquet").exists()
    stored[0].write_bytes(stored[0].read_bytes()[:1500])  # damaged, as by a full disk
    with start_python(program, stderr=subprocess.PIPE, text=True) as run:
        assert "is damaged and its pictures are made again" in run.stderr.read()
    assert run.returncode == 0
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions_of(TEXTS), params, tmp_path / "reference")
    assert contents(tmp_path / "out") == contents(tmp_path / "reference")


def test_long_prompts_are_truncated_and_counted(settings, captions, tmp_path):
    with pytest.raises(ValueError, match="holds no caption"):
        make_images(captions[:0], settings(), tmp_path / "out")
    texts = ["short", "word " * 40, "x" * 100_000, "nul \0 byte"]
    metrics, _ = make_images(captions_of(texts), settings(), tmp_path / "out")
    assert metrics["prompts_truncated"] == 2
    assert metrics["made"] == 8
    tokens = pd.read_parquet(tmp_path / "out/manifest.parquet").set_index("text")["tokens"]
    assert set(tokens["short"]) == {7}
    assert set(tokens["x" * 100_000]) == {100_002}


def test_the_stage_writes_its_outs(settings, captions, project_root):
    root = project_root(images=asdict(settings()))
    with pytest.raises(FileNotFoundError, match="run `dvc repro captions` first"):
        stage.main()
    (root / "data/captions").mkdir(parents=True)
    captions.to_parquet(root / "data/captions/kept.parquet")
    stage.main()
    assert json.loads((root / "reports/metrics/images.json").read_text())["made"] == 16
    assert len(pd.read_parquet(root / "data/images/manifest.parquet")) == 16


def test_licences_of_hub_models_are_recorded_and_in_no_key(settings, captions, tiny_generator, tmp_path, loopback_hub):
    folder = loopback_hub.models["owner/name"] = tmp_path / "remote"
    shutil.copytree(tiny_generator, folder)
    described = []
    for header in ("language: en", "license: openrail++"):
        (folder / "README.md").write_text(f"---\n{header}\n---\n")
        shutil.rmtree(tmp_path / "hub_cache", ignore_errors=True)
        make_images(captions, settings(generator="owner/name@main"), tmp_path / "out")
        described.append(json.loads((tmp_path / "out/generator.json").read_text()))
    assert [one.pop("licences")["owner/name@main"] for one in described] == ["unknown", "openrail++"]
    assert described[0] == described[1]


def test_originals_do_not_have_to_fit_into_memory(settings, project_root):
    root = project_root(images=asdict(settings(limit=2)))
    rows = [dict.fromkeys(CAPTIONS.names) | row for row in captions_of(TEXTS).to_dict("records")]
    for name in ("kept", "rejected"):
        write_table(root / f"data/captions/{name}.parquet", rows, CAPTIONS)
    add_pictures(root / "data")
    with little_memory():
        stage.main()
