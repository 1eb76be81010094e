import pandas as pd
import pytest

from synthpairs.gallery.rows import read_rows
from synthpairs.schema import SCORES
from synthpairs.storage import write_table
from tests.gallery.conftest import ARMS


@pytest.fixture
def rows(data, select):
    return read_rows(data, ARMS, select)


def test_every_candidate_every_real_pair_and_every_rejection_is_there_once(rows, data):
    assert {kind: len(table) for kind, table in rows.items()} == {"candidate": 21, "real": 4, "rejected": 4}
    assert all(table["id"].is_unique for table in rows.values())
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    unmade = pd.read_parquet(data / "images/failed.parquet")
    assert set(rows["candidate"]["id"]) == {*manifest["key"], *unmade["key"]}


def test_statuses_add_up(rows):
    assert rows["candidate"]["status"].value_counts().to_dict() == {"selected": 5, "not selected": 14, "failed": 2}
    failed = rows["candidate"].query("status == 'failed'").sort_values("reason")
    assert failed["reason"].tolist() == ["no picture", "no score"]
    assert failed["detail"].tolist() == ["ValueError: black", "a broken file"]
    assert failed["text"].notna().all()


def test_scores_rank_and_source_are_those_of_the_tables(rows, data):
    found = rows["candidate"].set_index("id")
    scores = pd.read_parquet(data / "scores/scores.parquet").set_index("key")
    assert (found.loc[scores.index, "clip"] == scores["clip_cosine"]).all()
    assert (found.loc[scores.index, "score"] - 2 * scores["clip_cosine"] - scores["ssim"] / 2).abs().max() < 1e-12
    selected = pd.read_parquet(data / "selected/selected.parquet").set_index("key")
    assert (found.loc[selected.index, "rank"] == selected["rank"]).all()
    assert found["rank"].count() == 7  # best of each caption
    kept = pd.read_parquet(data / "captions/kept.parquet").set_index("uid")
    assert (found["source"] == found["uid"].map(kept["source"])).all()


def test_seeds_keep_all_their_digits(rows, data):
    seeds = pd.read_parquet(data / "images/manifest.parquet").set_index("key")["seed"]
    found = rows["candidate"].dropna(subset=["seed"]).set_index("id")["seed"]
    assert found.astype("int64").sort_index().to_dict() == seeds.to_dict()


def test_arms_are_those_whose_pairs_hold_the_row(rows, data):
    for arm in ("selected", "random"):
        keys = set(pd.read_parquet(data / f"selected/pairs/{arm}.parquet")["key"])
        assert {row["id"] for row in rows["candidate"].to_dict("records") if arm in row["arms"]} == keys
    real = [*rows["real"].to_dict("records"), *rows["rejected"].to_dict("records")]
    uids = set(pd.read_parquet(data / "selected/pairs/real.parquet")["uid"])
    assert sorted(row["uid"] for row in real if row["arms"] == ["real"]) == sorted(uids)


def test_a_rejected_repetition_of_a_real_caption_is_not_in_the_arm(rows):
    repeated = rows["rejected"].query("reason == 'exact_duplicate'").iloc[0]
    assert repeated["uid"] in set(rows["real"]["uid"])
    assert repeated["arms"] == []


def test_scores_of_other_pictures_are_refused(data, select):
    stray = {"key": "f" * 24, "uid": "u", "concept": "dog", "clip_cosine": 0.1, "ssim": 0.2, "clip_tokens": 1}
    write_table(data / "scores/scores.parquet", [stray], SCORES)
    with pytest.raises(
        ValueError, match=r"scores\.parquet holds 1 pictures that data/images does not.*dvc repro scores"
    ):
        read_rows(data, ARMS, select)


def test_without_the_arm_real_there_are_no_real_pairs(data, select):
    rows = read_rows(data, ["selected"], select)
    assert rows["real"].empty
    assert len(rows["candidate"]) == 21
