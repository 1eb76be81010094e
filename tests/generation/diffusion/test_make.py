import hashlib
import json
import subprocess
from dataclasses import asdict

import pandas as pd
import pytest

from stages import images as stage
from synthpairs.core.schema import CANDIDATES, caption_uid, noise_seed
from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion.make import make_images
from tests.conftest import killed_with_work, start_python
from tests.generation.conftest import TEXTS, captions_of, contents


def test_candidates_keep_their_keys_and_captions(settings, captions, tmp_path):
    metrics, volatile = make_images(captions, settings(), tmp_path / "out")
    assert metrics == {"captions": 8, "candidates": 16, "made": 16, "failed": 0, "prompts_truncated": 0}
    assert volatile == {"reused": 0}
    manifest = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert list(manifest.columns) == CANDIDATES.names
    assert manifest["key"].is_monotonic_increasing
    assert manifest["seed"].is_unique
    assert manifest["seed"].tolist() == manifest["key"].map(noise_seed).tolist()
    assert manifest["sha256"].is_unique, "two candidates have the same noise"
    assert manifest.groupby("uid")["number"].agg(sorted).tolist() == [[0, 1]] * 8
    generator = json.loads((tmp_path / "out/generator.json").read_text())
    assert set(manifest["generator"]) == {generator["fingerprint"]}
    samples = {path.name: dict(read_shard(path)) for path in (tmp_path / "out").glob("shard-*.tar")}
    assert sum(map(len, samples.values())) == len(manifest)
    for row in manifest.itertuples():
        members = samples[row.shard][row.key]
        assert members["txt"].decode() == row.text
        assert caption_uid(row.text, "model") == row.uid
        assert hashlib.sha256(members["png"]).hexdigest() == row.sha256
        document = json.loads(members["json"])
        assert (document["key"], document["uid"], document["number"]) == (row.key, row.uid, row.number)


PROGRAM = """
import sys
from pathlib import Path
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Images
from tests.generation.conftest import TEXTS, captions_of
make_images(captions_of(TEXTS), Images(**{params!r}), Path({out!r}))
"""


def test_killed_and_run_again_gives_the_same_bytes(settings, tmp_path, monkeypatch):
    params = settings(batch=2, candidates=3, steps=12)
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


def test_the_stage_writes_its_outs(settings, captions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    (tmp_path / "params.yaml").write_text(json.dumps({"images": asdict(settings())}))
    with pytest.raises(FileNotFoundError, match="run `dvc repro captions` first"):
        stage.main()
    (tmp_path / "data/captions").mkdir(parents=True)
    captions.to_parquet(tmp_path / "data/captions/kept.parquet")
    stage.main()
    assert json.loads((tmp_path / "reports/metrics/images.json").read_text())["made"] == 16
    assert len(pd.read_parquet(tmp_path / "data/images/manifest.parquet")) == 16
