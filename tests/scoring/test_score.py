"""The scores stage: one row per candidate, for any batches and shards; failures are rows of their own; runs resume."""

import io
import json
from dataclasses import asdict, replace

import pandas as pd
import pytest
from PIL import Image

from stages import scores as stage
from synthpairs.core.storage import read_shard
from synthpairs.scoring import score
from synthpairs.scoring.score import score_images
from synthpairs.scoring.ssim import self_similarity
from tests.scoring.conftest import plain_cosine, write_images

TEXTS = ["a red dog", "two cats", "a bus", "a bell", "three snails", "a rose"]


def test_scores_equal_a_plain_loop(settings, tmp_path):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    params = settings()
    metrics, volatile = score_images(manifest, params, tmp_path / "images", tmp_path / "out")
    table = pd.read_parquet(tmp_path / "out/scores.parquet").set_index("key")
    assert table.index.tolist() == manifest["key"].tolist()
    assert (metrics["n"], metrics["failed"], volatile) == (12, 0, {"reused": 0})
    assert metrics["ssim"]["mean"] == round(table["ssim"].mean(), 4)
    for shard in sorted(set(manifest["shard"])):
        for key, members in read_shard(tmp_path / "images" / shard):
            picture, text, row = Image.open(io.BytesIO(members["png"])), members["txt"].decode(), table.loc[key]
            assert row["clip_cosine"] == pytest.approx(
                plain_cosine(params.clip, picture, f"A photo depicts {text}"), abs=1e-5
            )
            assert row["ssim"] == pytest.approx(self_similarity(picture, params.ssim), abs=1e-6)
            assert row["clip_tokens"] == 2 + len(f"Aphotodepicts{text}".replace(" ", ""))


def test_batches_and_shards_change_nothing(settings, tmp_path, monkeypatch):
    tables = []
    for batch, per_shard in [(4, 5), (4, 100), (5, 5)]:
        root = tmp_path / f"{batch}-{per_shard}"
        monkeypatch.setenv("DVC_ROOT", str(root))
        manifest = write_images(root / "images", TEXTS, 2, per_shard)
        score_images(manifest, settings(batch_size=batch), root / "images", root / "out")
        tables.append(pd.read_parquet(root / "out/scores.parquet"))
    assert tables[0].equals(tables[1])
    pd.testing.assert_frame_equal(tables[0], tables[2], atol=1e-5)


def test_unreadable_pictures_fail_alone(settings, tmp_path, monkeypatch):
    good = write_images(tmp_path / "good", TEXTS, 2, 5)
    score_images(good, settings(), tmp_path / "good", tmp_path / "good_out")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    broken = {1: b"not a picture", 4: b"\x89PNG\r\n\x1a\n" + b"\0" * 50, 7: None}
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5, broken)
    metrics, _ = score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    assert (metrics["n"], metrics["failed"]) == (9, 3)
    failed = pd.read_parquet(tmp_path / "out/failed.parquet")
    assert failed["key"].tolist() == manifest["key"].iloc[sorted(broken)].tolist()
    assert "UnidentifiedImageError" in failed["error"].iloc[0]
    assert failed["error"].iloc[2] == "the shard holds no picture under this key"
    left = pd.read_parquet(tmp_path / "good_out/scores.parquet").drop(sorted(broken)).reset_index(drop=True)
    assert pd.read_parquet(tmp_path / "out/scores.parquet").equals(left)
    with pytest.raises(ValueError, match=r"3 of 12 pictures have no score, more than scores.max_failed_share"):
        score_images(manifest, settings(max_failed_share=0.2), tmp_path / "images", tmp_path / "out")


def test_a_truncated_shard_is_an_error_and_finished_shards_are_reused(settings, tmp_path):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    last = tmp_path / "images" / sorted(set(manifest["shard"]))[-1]
    whole = last.read_bytes()
    last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{last.name}: not a whole tar shard"):
        score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    last.write_bytes(whole)
    _, volatile = score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    assert volatile == {"reused": 12 - (manifest["shard"] == last.name).sum()}


def test_a_second_run_reuses_scores_of_the_same_settings_only(settings, tmp_path):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    files = ("scores.parquet", "failed.parquet", "scorer.json")
    score_images(manifest, settings(), tmp_path / "images", tmp_path / "one")
    _, volatile = score_images(manifest, settings(), tmp_path / "images", tmp_path / "two")
    assert volatile == {"reused": 12}
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)
    for other in ({"prefix": ""}, {"precision": "bf16"}, {"ssim": replace(settings().ssim, kernel="lanczos")}):
        _, volatile = score_images(manifest, settings(**other), tmp_path / "images", tmp_path / "two")
        assert volatile == {"reused": 0}
        assert (tmp_path / "one/scorer.json").read_bytes() != (tmp_path / "two/scorer.json").read_bytes()


def test_after_an_edit_of_the_code_nothing_is_reused(settings, tmp_path, monkeypatch, edit_code):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    score_images(manifest, settings(), tmp_path / "images", tmp_path / "one")
    monkeypatch.setattr(score.ClipScorer, "count_tokens", lambda self, text: 7)
    edit_code()
    _, volatile = score_images(manifest, settings(), tmp_path / "images", tmp_path / "two")
    assert volatile == {"reused": 0}
    tokens = [set(pd.read_parquet(tmp_path / name / "scores.parquet")["clip_tokens"]) for name in ("one", "two")]
    assert tokens[0] != tokens[1] == {7}


@pytest.mark.parametrize("readable", [0, 1])
def test_one_score_or_none_is_a_result(settings, tmp_path, readable):
    manifest = write_images(tmp_path / "images", TEXTS[:1], 2, 5, dict.fromkeys(range(readable, 2), b"no picture"))
    metrics, _ = score_images(manifest, settings(max_failed_share=1.0), tmp_path / "images", tmp_path / "out")
    assert (metrics["n"], metrics["failed"]) == (readable, 2 - readable)
    assert (metrics["ssim"]["median"] is None) == (not readable)
    assert json.dumps(metrics, allow_nan=False)


def test_ssim_on_a_device_gives_the_same_rows(settings, tmp_path, monkeypatch):
    """The path for a GPU, here on the CPU; SSIM differs in the last stored digits."""
    broken = {1: b"not a picture", 7: None}
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5, broken)
    score_images(manifest, settings(), tmp_path / "images", tmp_path / "here")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    plain = score.preprocessors
    monkeypatch.setattr(score, "preprocessors", lambda transform, spec, on_gpu, _: plain(transform, spec, True, 0))
    score_images(manifest, settings(), tmp_path / "images", tmp_path / "there")
    here, there = (pd.read_parquet(tmp_path / name / "scores.parquet") for name in ("here", "there"))
    pd.testing.assert_frame_equal(here, there, atol=2e-6, rtol=0)
    failed = [(tmp_path / name / "failed.parquet").read_bytes() for name in ("here", "there")]
    assert failed[0] == failed[1]


def test_captions_beyond_the_limit_are_counted(settings, tmp_path):
    manifest = write_images(tmp_path / "images", ["short", "long " * 40], 2, 5)
    metrics, _ = score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    assert metrics["texts_truncated"] == 1
    with pytest.raises(ValueError, match="holds no picture"):
        score_images(pd.DataFrame(), settings(), tmp_path, tmp_path)


def test_the_stage_writes_its_outs(settings, project_root):
    root = project_root(scores=asdict(settings()))
    with pytest.raises(FileNotFoundError, match="run `dvc repro images` first"):
        stage.main()
    write_images(root / "data/images", TEXTS, 1, 5)
    stage.main()
    assert json.loads((root / "reports/metrics/scores.json").read_text())["n"] == 6
    assert len(pd.read_parquet(root / "data/scores/scores.parquet")) == 6
