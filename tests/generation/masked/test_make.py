"""The embed stage: byte-exact shards, resumption, failures that cost only themselves."""

import hashlib
import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from stages import embed as stage
from synthpairs.core.schema import CANDIDATES, caption_uid, noise_seed
from synthpairs.core.storage import read_shard
from synthpairs.generation.masked import make
from synthpairs.generation.masked.codes import read_codes
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.make import make_embeddings
from tests.generation.masked.conftest import CODES, GRID, TEXTS, captions_of, save_masked


def contents(folder):
    """Every file's hash by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_candidates_keep_their_keys_and_captions(settings, captions, tmp_path):
    metrics, volatile = make_embeddings(captions, settings(vectors="soft"), tmp_path / "out")
    assert metrics == {"captions": 8, "candidates": 16, "made": 16, "failed": 0, "prompts_truncated": 0}
    assert volatile == {"reused": 0}
    manifest = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert list(manifest.columns) == CANDIDATES.names
    assert manifest["key"].is_unique
    assert manifest["key"].is_monotonic_increasing
    assert manifest["seed"].tolist() == manifest["key"].map(noise_seed).tolist()
    assert manifest["sha256"].is_unique, "two candidates share their codes, so they shared their noise"
    generator = json.loads((tmp_path / "out/generator.json").read_text())
    assert set(manifest["generator"]) == {generator["fingerprint"]}
    assert (generator["inputs"]["codes"], generator["inputs"]["vectors"]) == (CODES, "soft")
    samples = {path.name: dict(read_shard(path)) for path in (tmp_path / "out").glob("shard-*.tar")}
    assert sum(map(len, samples.values())) == len(manifest)
    for row in manifest.itertuples():
        files = samples[row.shard][row.key]
        assert set(files) == {"tokens", "vectors", "txt", "json"}
        assert json.loads(files["json"])["grid"] == list(GRID)
        assert caption_uid(files["txt"].decode(), "invented") == row.uid
        assert hashlib.sha256(files["tokens"] + files["vectors"]).hexdigest() == row.sha256


@pytest.mark.parametrize("vectors", ["hard", "soft"])
def test_written_twice_byte_for_byte(settings, captions, tmp_path, monkeypatch, vectors):
    make_embeddings(captions, settings(vectors=vectors), tmp_path / "one")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_embeddings(captions.sample(frac=1, random_state=1), settings(vectors=vectors), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_version_of_the_recipe_makes_all_anew_and_an_edit_beside_it_nothing(
    settings, captions, tmp_path, monkeypatch, edit_code
):
    make_embeddings(captions, settings(), tmp_path / "out")
    first = set(pd.read_parquet(tmp_path / "out/manifest.parquet")["key"])
    edit_code()
    assert make_embeddings(captions, settings(), tmp_path / "out")[1] == {"reused": len(first)}
    for module in ("generator", "make"):
        monkeypatch.setattr(f"synthpairs.generation.masked.{module}.RECIPE", 2)
    assert make_embeddings(captions, settings(), tmp_path / "out")[1] == {"reused": 0}
    assert first.isdisjoint(pd.read_parquet(tmp_path / "out/manifest.parquet")["key"])


class Fussy(MaskedGenerator):
    """Takes no prompt with `poison` in it, and answers `nan` with logits that are none."""

    def _logits_of(self, texts):
        if any("poison" in text for text in texts):
            raise RuntimeError("cannot stomach\nthis")
        plain = super()._logits_of(texts)

        def logits_of(grids):
            logits = plain(grids)
            logits[[number for number, text in enumerate(texts) if "nan" in text], 3] = np.nan
            return logits

        return logits_of


def test_bad_captions_fail_alone(settings, tmp_path, monkeypatch):
    make_embeddings(captions_of(TEXTS), settings(batch=8, candidates=1), tmp_path / "good")
    monkeypatch.setattr(make, "MaskedGenerator", Fussy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    bad = {"a poison": "RuntimeError: cannot stomach this", "a nan": "ValueError: the logits hold values that are not"}
    params = settings(batch=8, candidates=1, max_failed_share=0.2)
    metrics, _ = make_embeddings(captions_of([*TEXTS, *bad, "word " * 40]), params, tmp_path / "out")
    assert metrics == {"captions": 11, "candidates": 11, "made": 9, "failed": 2, "prompts_truncated": 1}
    failed = pd.read_parquet(tmp_path / "out/failed.parquet").set_index("uid")
    for text, error in bad.items():
        assert error in failed.loc[caption_uid(text, "invented"), "error"]
    good, rest = (pd.read_parquet(tmp_path / name / "manifest.parquet") for name in ("good", "out"))
    rest = rest[rest["uid"].isin(good["uid"])].reset_index(drop=True)
    assert good.drop(columns="shard").equals(rest.drop(columns="shard")), "their neighbours' codes are untouched"


def test_tokens_beyond_the_codebook_are_failures(settings, tmp_path):
    narrow = save_masked(tmp_path / "narrow", vq_codes=2)
    params = settings(generator=str(narrow), temperature=None, candidates=1)
    message = r"embeddings failed, more than embed.max_failed_share .*: token \d+ lies beyond the codebook of 2"
    with pytest.raises(ValueError, match=message):
        make_embeddings(captions_of(TEXTS), params, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    params = settings(generator=str(narrow), temperature=None, candidates=1, max_failed_share=1.0)
    metrics, _ = make_embeddings(captions_of(TEXTS), params, tmp_path / "out")
    assert metrics["made"] + metrics["failed"] == 8
    assert metrics["failed"] > 0


def test_no_captions_make_no_grids(settings, captions, tmp_path):
    metrics, _ = make_embeddings(captions[:0], settings(), tmp_path / "out")
    assert (metrics["captions"], metrics["candidates"], metrics["made"]) == (0, 0, 0)
    assert list(read_codes(tmp_path / "out")) == []


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
