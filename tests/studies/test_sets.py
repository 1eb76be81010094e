"""The pairs of every way, with their pictures, from a small project."""

import hashlib
import io
from collections.abc import Callable

import pandas as pd
import pytest
from PIL import Image

from synthpairs.selection.params import Select
from synthpairs.studies.params import TrainingSet
from synthpairs.studies.sets import Pool
from tests.images.conftest import settings as images  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401


@pytest.fixture
def pool(data, settings: Callable[..., Select], images) -> Pool:  # noqa: F811
    return Pool(data=data, select=settings(), images=images(candidates=1))


def keys(pool, way, k, seed, work):
    return [key for key, _, _ in pool.pairs(TrainingSet(way, k), seed, work)]


def test_ways_that_rank_by_score_take_the_same_pairs_for_every_seed(pool, tmp_path):
    for way in ("top", "rear", "clip-only", "ssim-only"):
        assert keys(pool, way, 3, 0, tmp_path) == keys(pool, way, 3, 1, tmp_path)
    assert not set(keys(pool, "top", 3, 0, tmp_path)) & set(keys(pool, "rear", 3, 0, tmp_path))


def test_ways_that_draw_take_others_for_another_seed(pool, tmp_path):
    for way in ("random", "real"):
        drawn = {tuple(keys(pool, way, 1, seed, tmp_path)) for seed in range(6)}
        assert len(drawn) > 1, way


def test_pairs_carry_their_own_caption_and_picture(pool, tmp_path):
    manifest = pd.read_parquet(pool.data / "images/manifest.parquet").set_index("key")
    for key, text, picture in pool.pairs(TrainingSet("top", 4), 0, tmp_path):
        assert text == manifest.loc[key, "text"]
        assert hashlib.sha256(picture.read()).hexdigest() == manifest.loc[key, "sha256"]
    captions = pd.concat([pd.read_parquet(pool.data / f"captions/{name}.parquet") for name in ("kept", "rejected")])
    texts = captions.set_index("uid")["text"]
    assert all(texts[key] == text for key, text, _ in pool.pairs(TrainingSet("real", 4), 0, tmp_path))


def test_an_uncurated_set_is_painted_for_kept_and_rejected_captions_alike(pool, tmp_path):
    pairs = list(pool.pairs(TrainingSet("uncurated", 12), 0, tmp_path))
    assert len(pairs) == 12
    rejected = set(pd.read_parquet(pool.data / "captions/rejected.parquet")["text"])
    assert any(text in rejected for _, text, _ in pairs)
    assert not all(text in rejected for _, text, _ in pairs)
    assert all(Image.open(io.BytesIO(picture.read())).size == (32, 32) for _, _, picture in pairs)


def test_too_few_pairs_are_an_error(pool, tmp_path):
    with pytest.raises(ValueError, match="only 8 candidates compete"):
        keys(pool, "top", 9, 0, tmp_path)
    with pytest.raises(ValueError, match="4 captions have an original, 5 are needed"):
        keys(pool, "real", 5, 0, tmp_path)
