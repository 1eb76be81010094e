"""The check against reference scores: right scores pass with all options, wrong ones are errors."""

import json
import shutil

import pandas as pd
import pytest

from synthpairs.scoring import check, preprocessing
from synthpairs.scoring.check import PICTURES, check_scores
from synthpairs.scoring.params import Ssim
from synthpairs.scoring.score import CaptionEmbeddings, score_images
from tests.scoring.conftest import SSIM, write_images
from tests.scoring.test_ssim import OPTIONS

TEXTS = ["a red dog", "two cats", "a bus", "a bell", "three snails", "a rose"]
NO_DIFFERENCE = {"largest_ssim_difference": 0.0, "largest_cosine_difference": 0.0}


@pytest.mark.parametrize(
    "changed", [{"precision": "bf16"}, {"precision": "fp16"}, *({"ssim": options} for options in OPTIONS)], ids=str
)
def test_right_scores_pass(settings, tmp_path, changed):
    manifest = write_images(tmp_path / "images", TEXTS[:3], 2, 4, broken={1: b"not a picture"})
    if "ssim" in changed:
        options = dict(zip(("kernel", "window", "colour"), changed["ssim"], strict=True))
        changed = {"ssim": Ssim(**SSIM | options | {"resize_to": 48})}
    metrics, _ = score_images(manifest, settings(**changed), tmp_path / "images", tmp_path / "out")
    assert metrics["reference"] == {"checked": 5} | NO_DIFFERENCE


def test_the_same_few_pictures_are_checked_in_any_order(settings, tmp_path, monkeypatch):
    manifest = write_images(tmp_path / "images", TEXTS, 4, 5)
    metrics, _ = score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    assert metrics["reference"]["checked"] == PICTURES == 16
    scores = pd.read_parquet(tmp_path / "out/scores.parquet")
    checked, stored_pictures = [], check.stored_pictures

    def recorded(shards, images):
        checked.append([*shards.index])
        return stored_pictures(shards, images)

    monkeypatch.setattr(check, "stored_pictures", recorded)
    for seed in (0, 1):
        shuffled = [table.sample(frac=1, random_state=seed + number) for number, table in enumerate((scores, manifest))]
        check_scores(*shuffled, tmp_path / "images", settings(), tmp_path)
    assert checked[0] == checked[1]
    assert set(checked[0]) != set(scores["key"].head(PICTURES))
    assert len({manifest.set_index("key")["shard"][key] for key in checked[0]}) > PICTURES / 5


def test_metrics_do_not_depend_on_rounding_and_the_order_of_sums(settings, tmp_path):
    manifest = write_images(tmp_path / "images", TEXTS, 1, 5)
    params = settings()
    score_images(manifest, params, tmp_path / "images", tmp_path / "out")
    scores = pd.read_parquet(tmp_path / "out/scores.parquet").sort_values("key")
    pictures = check.stored_pictures(manifest.set_index("key").loc[scores["key"], "shard"], tmp_path / "images")
    exact = [check.reference_ssim(picture, params.ssim) for picture in pictures]

    def difference(error):
        shifted = scores.assign(ssim=[value + error for value in exact])
        return check_scores(shifted, manifest, tmp_path / "images", params, tmp_path)["largest_ssim_difference"]

    assert [difference(error) for error in (0.9e-6, -0.9e-6, 1.2e-6)] == [0.0, 0.0, 1e-6]  # less 0.5e-6 of rounding
    with pytest.raises(ValueError, match="ssim is"):
        difference(1.6e-6)


def test_wrong_ssim_ends_the_stage(settings, tmp_path, monkeypatch):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    plain = preprocessing.self_similarity
    monkeypatch.setattr(preprocessing, "self_similarity", lambda picture, spec: plain(picture, spec) + 2e-6)
    with pytest.raises(ValueError, match=r"ssim is 0\.\d{6}, but scikit-image gives 0\.\d{8}; at most 1e-06") as error:
        score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    assert sum(key in str(error.value) for key in manifest["key"]) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("column", "program"), [("ssim", "scikit-image"), ("clip_cosine", "a plain open_clip call")])
def test_a_wrong_score_in_the_work_store_is_named(settings, tmp_path, column, program):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 5)
    score_images(manifest, settings(), tmp_path / "images", tmp_path / "out")
    (store,) = (tmp_path / ".dvc/tmp/work/scores").glob("*/*")
    piece = sorted(store.glob("*.json"))[0]
    result = json.loads(piece.read_bytes())
    row = result["scored"][0]
    row[column] = round(row[column] + 3e-6, 6)
    piece.write_text(json.dumps(result))
    with pytest.raises(ValueError, match=f"{row['key']}: {column} is {row[column]:.6f}, but {program} gives") as error:
        score_images(manifest, settings(), tmp_path / "images", tmp_path / "again")
    assert f"Delete {store}" in str(error.value)
    shutil.rmtree(store)
    metrics, volatile = score_images(manifest, settings(), tmp_path / "images", tmp_path / "again")
    assert volatile == {"reused": 0}
    assert metrics["reference"] == {"checked": 12} | NO_DIFFERENCE


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_cosines_with_other_captions_end_the_stage(settings, tmp_path, monkeypatch, precision):
    manifest = write_images(tmp_path / "images", TEXTS, 2, 100)
    plain = CaptionEmbeddings.of
    monkeypatch.setattr(CaptionEmbeddings, "of", lambda texts, rows: plain(texts, rows)[::-1])
    with pytest.raises(ValueError, match=r": clip_cosine is -?0\.\d{6}, but a plain open_clip call gives -?0\.\d{8};"):
        score_images(manifest, settings(precision=precision), tmp_path / "images", tmp_path / "out")
