import hashlib
import json
from dataclasses import asdict

import pandas as pd
import pytest

from stages import embed as stage
from synthpairs.core.schema import CANDIDATES, caption_uid, noise_seed
from synthpairs.core.storage import read_shard
from synthpairs.generation.masked.codes import read_token_grids
from synthpairs.generation.masked.make import make_embeddings
from tests.generation.masked.conftest import CODES, GRID, TEXTS, captions_of, save_masked


def test_candidates_keep_their_keys_and_captions(settings, captions, tmp_path):
    metrics, volatile = make_embeddings(captions, settings(vectors="soft"), tmp_path / "out")
    assert metrics == {"captions": 8, "candidates": 16, "made": 16, "failed": 0, "prompts_truncated": 0}
    assert volatile == {"reused": 0}
    manifest = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert list(manifest.columns) == CANDIDATES.names
    assert manifest["seed"].tolist() == manifest["key"].map(noise_seed).tolist()
    assert manifest["sha256"].is_unique, "two candidates have the same noise"
    generator = json.loads((tmp_path / "out/generator.json").read_text())
    assert set(manifest["generator"]) == {generator["fingerprint"]}
    assert (generator["inputs"]["codes"], generator["inputs"]["vectors"]) == (CODES, "soft")
    samples = {path.name: dict(read_shard(path)) for path in (tmp_path / "out").glob("shard-*.tar")}
    assert sum(map(len, samples.values())) == len(manifest)
    for row in manifest.itertuples():
        files = samples[row.shard][row.key]
        assert set(files) == {"tokens", "vectors", "txt", "json"}
        assert json.loads(files["json"])["grid"] == list(GRID)
        assert caption_uid(files["txt"].decode(), "model") == row.uid
        assert hashlib.sha256(files["tokens"] + files["vectors"]).hexdigest() == row.sha256
    metrics, _ = make_embeddings(captions[:0], settings(), tmp_path / "none")
    assert (metrics["captions"], metrics["candidates"], metrics["made"]) == (0, 0, 0)
    assert list(read_token_grids(tmp_path / "none")) == []


def test_tokens_beyond_the_codebook_are_failures(settings, tmp_path):
    narrow = save_masked(tmp_path / "narrow", vq_codes=2)
    params = settings(generator=str(narrow), temperature=None, candidates=1)
    with pytest.raises(ValueError, match=r"embed.max_failed_share .*: token \d+ lies beyond the codebook of 2"):
        make_embeddings(captions_of(TEXTS), params, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_stage_writes_its_outs(settings, captions, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
    (tmp_path / "params.yaml").write_text(json.dumps({"embed": asdict(settings())}))
    with pytest.raises(FileNotFoundError, match="run `dvc repro screen` first"):
        stage.main()
    (tmp_path / "data/screened").mkdir(parents=True)
    captions.to_parquet(tmp_path / "data/screened/kept.parquet")
    stage.main()
    assert json.loads((tmp_path / "reports/metrics/embed.json").read_text())["made"] == 16
    assert len(pd.read_parquet(tmp_path / "data/embedded/manifest.parquet")) == 16
