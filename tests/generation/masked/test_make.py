import json
from dataclasses import asdict

import pandas as pd
import pytest

from stages import generate_tokens as stage
from synthpairs.core.storage import read_shard
from synthpairs.generation.masked.make import make_token_grids
from synthpairs.generation.masked.tokens import read_token_grids
from tests.generation.masked.conftest import CODES, GRID, TEXTS, captions_of, save_masked


def test_json_files_have_what_readers_need(settings, captions, tmp_path):
    make_token_grids(captions[:1], settings(vectors="soft"), tmp_path / "out")
    inputs = json.loads((tmp_path / "out/generator.json").read_text())["inputs"]
    assert (inputs["codes"], inputs["vectors"]) == (CODES, "soft")
    (shard,) = (tmp_path / "out").glob("shard-*.tar")
    for _, files in read_shard(shard):
        assert json.loads(files["json"])["grid"] == list(GRID)


def test_no_captions_give_no_candidates(settings, captions, tmp_path):
    metrics, _ = make_token_grids(captions[:0], settings(), tmp_path / "out")
    assert (metrics["captions"], metrics["candidates"], metrics["made"]) == (0, 0, 0)
    assert list(read_token_grids(tmp_path / "out")) == []


def test_tokens_beyond_the_codebook_are_failures(settings, tmp_path):
    narrow = save_masked(tmp_path / "narrow", vq_codes=2)
    params = settings(generator=str(narrow), temperature=None, candidates=1)
    with pytest.raises(
        ValueError, match=r"generate_tokens.max_failed_share .*: token \d+ lies beyond the codebook of 2"
    ):
        make_token_grids(captions_of(TEXTS), params, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_stage_writes_its_outs(settings, captions, project_root):
    root = project_root(generate_tokens=asdict(settings()))
    with pytest.raises(FileNotFoundError, match="run `dvc repro filter_captions` first"):
        stage.main()
    (root / "data/filtered_captions").mkdir(parents=True)
    captions.to_parquet(root / "data/filtered_captions/kept.parquet")
    stage.main()
    assert json.loads((root / "reports/metrics/generate_tokens.json").read_text())["made"] == 16
    assert len(pd.read_parquet(root / "data/generated_tokens/manifest.parquet")) == 16
