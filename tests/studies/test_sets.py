"""The pairs of every way, with their pictures, from a small project."""

import dataclasses
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
    return Pool(data=data, select=settings(), images=images(candidates=1), per_concept=1)


def pairs_of(pool, chosen, seed, work):
    return list(pool.pairs(chosen, pool.table(chosen, seed, work), work))


def keys(pool, way, k, seed, work):
    return [key for key, _, _ in pairs_of(pool, TrainingSet(way, k), seed, work)]


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
    for key, text, picture in pairs_of(pool, TrainingSet("top", 4), 0, tmp_path):
        assert text == manifest.loc[key, "text"]
        assert hashlib.sha256(picture.read()).hexdigest() == manifest.loc[key, "sha256"]
    captions = pd.concat([pd.read_parquet(pool.data / f"captions/{name}.parquet") for name in ("kept", "rejected")])
    texts = captions.set_index("uid")["text"]
    assert all(texts[key] == text for key, text, _ in pairs_of(pool, TrainingSet("real", 4), 0, tmp_path))


def test_an_uncurated_set_is_painted_for_kept_and_rejected_captions_alike(pool, tmp_path):
    pairs = pairs_of(pool, TrainingSet("uncurated", 12), 0, tmp_path)
    assert len(pairs) == 12
    rejected = set(pd.read_parquet(pool.data / "captions/rejected.parquet")["text"])
    assert any(text in rejected for _, text, _ in pairs)
    assert not all(text in rejected for _, text, _ in pairs)
    assert all(Image.open(io.BytesIO(picture.read())).size == (32, 32) for _, _, picture in pairs)


def test_too_few_pairs_are_an_error(pool, tmp_path):
    with pytest.raises(ValueError, match="8 candidates compete, 9 are needed"):
        keys(pool, "top", 9, 0, tmp_path)
    with pytest.raises(ValueError, match="4 captions have an original, 5 are needed"):
        keys(pool, "real", 5, 0, tmp_path)


def test_a_balanced_set_takes_the_best_of_every_concept(pool, tmp_path):
    two = dataclasses.replace(pool, select=dataclasses.replace(pool.select, best_of=False), per_concept=1)
    best = two.table(TrainingSet("balanced", 8), 0, tmp_path)
    assert best["concept"].is_unique  # without the cap both candidates of a concept would compete
    everyone = two.table(TrainingSet("top", 15), 0, tmp_path)
    assert best["score"].tolist() == everyone.groupby("concept")["score"].max().sort_values(ascending=False).tolist()


def test_another_guidance_paints_the_random_captions_anew(pool, tmp_path):
    random = pool.table(TrainingSet("random", 4), 1, tmp_path)
    painted = {}
    for scale in (1.0, 8.0):
        chosen = TrainingSet("guidance", 4, scale)
        pairs = pairs_of(pool, chosen, 1, tmp_path / str(scale))
        assert sorted(text for _, text, _ in pairs) == sorted(random["text"])
        painted[scale] = {text: source.read() for _, text, source in pairs}
    assert all(painted[1.0][text] != painted[8.0][text] for text in random["text"])
