from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synthpairs.core.schema import SCORES, digest
from synthpairs.core.storage import write_table
from synthpairs.report.gallery.rows import choose, extremes_and_sample, read_rows, sample
from tests.report.gallery.conftest import ARMS, PARAMS, SELECT


@pytest.fixture
def rows(data):
    return read_rows(data, ARMS, SELECT)


def test_every_row_is_there_once_with_its_status(rows, data):
    assert {kind: len(table) for kind, table in rows.items()} == {"candidate": 21, "real": 4, "rejected": 4}
    assert all(table["id"].is_unique for table in rows.values())
    keys = [pd.read_parquet(data / f"images/{name}.parquet")["key"] for name in ("manifest", "failed")]
    assert set(rows["candidate"]["id"]) == {*keys[0], *keys[1]}
    assert rows["candidate"]["status"].value_counts().to_dict() == {"selected": 5, "not selected": 14, "failed": 2}
    failed = rows["candidate"].query("status == 'failed'").sort_values("reason")
    assert failed["reason"].tolist() == ["no image", "no score"]
    assert failed["detail"].tolist() == ["ValueError: black", "a broken file"]
    assert failed["text"].notna().all()


def test_scores_rank_seed_and_source_are_those_of_the_tables(rows, data):
    candidates = rows["candidate"].set_index("id")
    scores = pd.read_parquet(data / "scores/scores.parquet").set_index("key")
    assert (candidates.loc[scores.index, "clip"] == scores["clip_cosine"]).all()
    assert (candidates.loc[scores.index, "score"] - 2 * scores["clip_cosine"] - scores["ssim"] / 2).abs().max() < 1e-12
    selected = pd.read_parquet(data / "selection/selected.parquet").set_index("key")
    assert (candidates.loc[selected.index, "rank"] == selected["rank"]).all()
    assert candidates["rank"].count() == 7  # best of each caption
    kept = pd.read_parquet(data / "captions/kept.parquet").set_index("uid")
    assert (candidates["source"] == candidates["uid"].map(kept["source"])).all()
    seeds = pd.read_parquet(data / "images/manifest.parquet").set_index("key")["seed"]
    assert candidates["seed"].dropna().astype("int64").to_dict() == seeds.to_dict(), "all 63 bits"


def test_arms_are_those_whose_pairs_hold_the_row(rows, data):
    for arm in ("selected", "random"):
        keys = set(pd.read_parquet(data / f"selection/pairs/{arm}.parquet")["key"])
        assert {row["id"] for row in rows["candidate"].to_dict("records") if arm in row["arms"]} == keys
    real = [*rows["real"].to_dict("records"), *rows["rejected"].to_dict("records")]
    uids = set(pd.read_parquet(data / "selection/pairs/real.parquet")["uid"])
    assert sorted(row["uid"] for row in real if row["arms"] == ["real"]) == sorted(uids)
    repeated = rows["rejected"].query("reason == 'exact_duplicate'").iloc[0]
    assert repeated["uid"] in set(rows["real"]["uid"])
    assert repeated["arms"] == []
    assert read_rows(data, ["selected"], SELECT)["real"].empty


def test_scores_of_other_images_are_refused(data):
    stray = {"key": "f" * 24, "uid": "u", "concept": "dog", "clip_cosine": 0.1, "ssim": 0.2, "clip_tokens": 1}
    write_table(data / "scores/scores.parquet", [stray], SCORES)
    with pytest.raises(ValueError, match=r"scores\.parquet holds 1 images that data/images does not.*dvc repro score"):
        read_rows(data, ARMS, SELECT)


@pytest.fixture
def candidates():
    """200 candidates of 100 captions, some without a score."""
    rows = pd.DataFrame({"id": [digest("id", number) for number in range(200)]})
    rows["uid"] = [digest("uid", number // 2) for number in range(200)]
    rows["score"] = np.random.default_rng(0).permutation(200).astype(float)
    rows.loc[:9, "score"] = np.nan
    return rows


def test_a_third_each_of_best_worst_and_random_captions_with_all_their_candidates(candidates):
    shown = extremes_and_sample(candidates, replace(PARAMS, limit=60))
    assert 54 <= len(shown) <= 60
    assert (shown.groupby("uid").size() == 2).all()
    assert set(candidates.nlargest(5, "score")["id"]) <= set(shown["id"])
    assert set(candidates.nsmallest(5, "score")["id"]) <= set(shown["id"])
    assert len(shown.groupby("uid")["score"].agg(["min", "max"]).query("min > 40 and max < 160")) > 0
    assert choose({"candidate": candidates}, PARAMS)["candidate"] is candidates, "what fits is shown whole"


def test_chance_depends_on_the_seed_and_on_nothing_else(candidates):
    few = replace(PARAMS, limit=30)
    for take in (extremes_and_sample, sample):
        shown = set(take(candidates, few)["id"])
        assert set(take(candidates.iloc[::-1], few)["id"]) == shown
        assert set(take(candidates, replace(few, seed=1))["id"]) != shown
    assert len(sample(candidates, few)) == 30
