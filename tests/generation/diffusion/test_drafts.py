"""Drafts choose which candidates get all steps, and change nothing in these."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.core.schema import DRAFTS
from synthpairs.generation.diffusion.drafts import DraftScorer
from synthpairs.generation.diffusion.generator import Generator
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.params import Draft
from tests.generation.conftest import contents


@pytest.fixture
def spec(tiny_clip):
    """Keeps the best of each caption after one step."""
    return Draft(num_inference_steps=1, clip=f"local-dir:{tiny_clip}", pretrained=None, keep=1, cosine_min=None)


def test_the_best_drafts_get_all_steps_and_the_others_are_counted(settings, captions, spec, tmp_path, monkeypatch):
    params = settings(candidates=3, num_inference_steps=3)
    make_images(captions, params, tmp_path / "all")
    metrics, volatile = make_images(captions, replace(params, draft=spec), tmp_path / "best")
    assert metrics == {
        "captions": 8, "candidates": 8, "made": 8, "failed": 0, "prompts_truncated": 0, "drafts": 24, "drafts_failed": 0,
        "drafts_dropped": 16,
    }  # fmt: skip
    assert volatile["reused"] == 8, "pictures are the same with and without drafts"
    everything, best = (pd.read_parquet(tmp_path / name / "manifest.parquet") for name in ("all", "best"))
    table = pd.read_parquet(tmp_path / "best/drafts.parquet")
    assert list(table.columns) == DRAFTS.names
    assert set(table["key"]) == set(everything["key"])
    assert set(table[table["painted"]]["key"]) == set(best["key"])
    assert table["clip_cosine"].between(-1, 1).all()
    for _, rows in table.groupby("uid"):
        assert rows[rows["painted"]]["clip_cosine"].tolist() == [rows["clip_cosine"].max()]
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    make_images(captions.sample(frac=1, random_state=1), replace(params, draft=spec), tmp_path / "again")
    assert contents(tmp_path / "best") == contents(tmp_path / "again")
    make_images(captions, params, tmp_path / "best")
    assert contents(tmp_path / "best") == contents(tmp_path / "all"), "without drafts there is no table of them"


def test_drafts_resume_and_other_choices_reuse_them(settings, captions, spec, tmp_path, monkeypatch):
    params = settings(candidates=2, draft=spec)
    make_images(captions[:4], params, tmp_path / "out")
    scored = []
    score = DraftScorer.score

    def recorded(self, keys, texts):
        scored.extend(keys)
        return score(self, keys, texts)

    monkeypatch.setattr(DraftScorer, "score", recorded)
    make_images(captions, params, tmp_path / "out")
    assert len(scored) == 8, "only the new captions' candidates"
    table = pd.read_parquet(tmp_path / "out/drafts.parquet")
    minimum = float(table["clip_cosine"].median())
    draft = replace(spec, keep=2, cosine_min=minimum)
    metrics, _ = make_images(captions, replace(params, draft=draft), tmp_path / "out")
    assert len(scored) == 8, "no more"
    assert metrics["candidates"] == (table["clip_cosine"] >= minimum).sum()
    make_images(captions, replace(params, draft=replace(spec, num_inference_steps=2)), tmp_path / "out")
    assert len(scored) == 8 + 16


def test_a_candidate_without_a_draft_gets_all_steps_if_no_other_is_left(
    settings, captions, spec, tmp_path, monkeypatch
):
    generate_images = Generator.generate_images

    def without_dogs(self, keys, texts, steps=None):
        """Drafts of dogs are not finite."""
        pictures = generate_images(self, keys, texts, steps).copy()
        if steps is not None:
            pictures[["dog" in text for text in texts]] = np.nan
        return pictures

    monkeypatch.setattr(Generator, "generate_images", without_dogs)
    metrics, _ = make_images(captions, settings(draft=replace(spec, cosine_min=-1.0)), tmp_path / "out")
    assert (metrics["made"], metrics["failed"], metrics["drafts_failed"]) == (8, 0, 2)
    table = pd.read_parquet(tmp_path / "out/drafts.parquet").sort_values("number")
    failed = table[table["clip_cosine"].isna()]
    assert failed["error"].tolist() == ["the draft holds values that are not finite"] * 2
    assert failed["painted"].tolist() == [True, False]


def test_a_limit_leaves_captions_out_and_a_higher_one_adds_some(settings, captions, spec, tmp_path):
    metrics, _ = make_images(captions, settings(limit=7), tmp_path / "out")
    assert (metrics["captions"], metrics["made"], metrics["captions_beyond_limit"]) == (3, 6, 5)
    first = pd.read_parquet(tmp_path / "out/manifest.parquet")
    assert set(first["uid"]) == set(sorted(captions["uid"])[:3])
    metrics, volatile = make_images(captions, settings(limit=16), tmp_path / "out")
    assert volatile["reused"] == 6
    assert "captions_beyond_limit" not in metrics
    metrics, _ = make_images(captions, settings(limit=5, draft=spec), tmp_path / "out")
    assert metrics["captions"] == metrics["made"] == 5, "drafts that are dropped are no pictures"
    with pytest.raises(ValueError, match=r"images.limit must be at least the 2 pictures of a caption, got 1"):
        make_images(captions, settings(limit=1), tmp_path / "out")
