import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from synthpairs.core.schema import CAPTIONS, PAIRS, REJECTED, SCORES, SELECTED, caption_uid
from synthpairs.core.storage import read_bytes, write_table
from synthpairs.selection.make import make_selection
from synthpairs.selection.training_pairs import load_training_pairs
from tests.memory import add_pictures, little_memory
from tests.selection.conftest import ARMS, caption_row, pictures_of


def contents(folder):
    """Every file's hash by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_metrics_add_up_and_tables_have_their_schemas(settings, data):
    metrics = make_selection(settings(), ARMS, data, data / "selection")
    assert metrics["candidates"] == metrics["unscored"] + metrics["beaten"] + metrics["competing"] == 16
    assert metrics["selected"] == 3
    assert metrics["unscored"] == 1
    selected = pd.read_parquet(data / "selection/selected.parquet")
    assert list(selected.columns) == SELECTED.names
    assert selected["rank"].tolist() == [0, 1, 2]
    assert selected["score"].is_monotonic_decreasing
    manifest = pd.read_parquet(data / "images/manifest.parquet").set_index("key")
    assert selected["text"].tolist() == manifest.loc[selected["key"], "text"].tolist()


def test_outs_are_reproducible(settings, data):
    make_selection(settings(), ARMS, data, data / "one")
    scores = pd.read_parquet(data / "scores/scores.parquet").sample(frac=1, random_state=2)
    scores.to_parquet(data / "scores/scores.parquet")
    make_selection(settings(strategy="bottom", num_pairs=4), ["selected"], data, data / "two")
    make_selection(settings(), ARMS, data, data / "two")  # replaces the other selection
    assert contents(data / "one") == contents(data / "two")


def test_arms_have_one_size(settings, data):
    make_selection(settings(num_pairs=4), ARMS, data, data / "selection")
    arms = {name: pd.read_parquet(data / f"selection/pairs/{name}.parquet") for name in ARMS}
    for pairs in arms.values():
        assert list(pairs.columns) == PAIRS.names
        assert len(pairs) == 4
        assert pairs["key"].is_monotonic_increasing
        assert pairs["uid"].is_unique
    assert set(arms["random"]["key"]) != set(arms["selected"]["key"])
    assert arms["real"]["shard"].isna().all()
    assert set(arms["real"]["text"]) == {"an ant", "a pear", "a hat", "a fan"}
    make_selection(settings(num_pairs=4, seed=5), ARMS, data, data / "other")
    other = {name: pd.read_parquet(data / f"other/pairs/{name}.parquet") for name in ARMS}
    assert other["selected"].equals(arms["selected"])
    assert not other["random"].equals(arms["random"])


def test_the_real_arm_takes_kept_captions_first_and_all_of_fewer(settings, data):
    def real(k):
        metrics = make_selection(settings(num_pairs=k), ARMS, data, data / "selection")
        return tuple(metrics["arms"]["real"][name] for name in ("pairs", "kept", "rejected_by_alignment"))

    assert (real(1), real(4), real(8)) == ((1, 1, 0), (4, 2, 2), (4, 2, 2))
    kept = pd.read_parquet(data / "captions/kept.parquet")
    write_table(data / "captions/kept.parquet", kept[kept["source"] == "model"], CAPTIONS)
    assert real(1) == (1, 0, 1)
    rejected = pd.read_parquet(data / "captions/rejected.parquet").assign(reason="judge")
    write_table(data / "captions/rejected.parquet", rejected, REJECTED)
    assert real(1) == (0, 0, 0)
    assert list(load_training_pairs("real", data)) == []


def test_the_arm_all_real_has_every_original_picture(settings, data):
    rows = pq.read_table(data / "captions/rejected.parquet").to_pylist()
    rows += [
        caption_row(text, "human", "exact_duplicate", seed) for seed, text in ((7, "an ant"), (8, "an ant"), (9, "!!"))
    ]
    write_table(data / "captions/rejected.parquet", rows, REJECTED)
    metrics = make_selection(settings(num_pairs=1), [*ARMS, "all-real"], data, data / "selection")
    assert metrics["arms"]["all-real"] == {"pairs": 8, "rejected": 6}
    loaded = list(load_training_pairs("all-real", data))
    tables = pd.concat(pd.read_parquet(data / f"captions/{name}.parquet") for name in ("kept", "rejected"))
    tables = tables[tables["source"] == "human"]
    expected = sorted(zip(tables["text"], tables["original"], strict=True))
    assert sorted((text, picture) for _, text, picture in loaded) == expected
    assert len({key for key, _, _ in loaded}) == 8


def test_load_pairs_gives_each_arm_its_pictures(settings, data):
    make_selection(settings(num_pairs=4), ARMS, data, data / "selection")
    expected = {key: members["png"] for key, members in pictures_of(data / "images").items()}
    for name in ("kept", "rejected"):
        table = pd.read_parquet(data / f"captions/{name}.parquet")
        expected |= dict(zip(table["uid"], table["original"], strict=True))
    for arm in ARMS:
        pairs = pd.read_parquet(data / f"selection/pairs/{arm}.parquet")
        loaded = list(load_training_pairs(arm, data))
        assert sorted((key, text) for key, text, _ in loaded) == sorted(zip(pairs["key"], pairs["text"], strict=True))
        for key, _, picture in loaded:
            assert read_bytes(picture) == expected[key]
        assert [key for key, _, _ in loaded] == [key for key, _, _ in load_training_pairs(arm, data)]
    with pytest.raises(FileNotFoundError, match=r"pairs/other.parquet is missing: run `dvc repro select`"):
        next(load_training_pairs("other", data))
    kept = pd.read_parquet(data / "captions/kept.parquet")
    write_table(data / "captions/kept.parquet", kept[kept["text"] != "a pear"], CAPTIONS)
    with pytest.raises(ValueError, match=f"no picture for 1 pairs, first {caption_uid('a pear', 'human')}"):
        list(load_training_pairs("real", data))


@pytest.mark.parametrize(("k", "taken"), [(1, 1), (9, 8), (100_000, 8)])
def test_all_are_selected_where_fewer_than_k_compete(settings, data, caplog, k, taken):
    metrics = make_selection(settings(num_pairs=k, per_concept=5), ["selected", "random"], data, data / "selection")
    assert (metrics["asked"], metrics["selected"]) == (k, taken)
    assert {arm: counts["pairs"] for arm, counts in metrics["arms"].items()} == {"selected": taken, "random": taken}
    assert ("select.num_pairs is 9, but only 8 candidates compete; with select.best_of each" in caplog.text) == (k == 9)
    write_table(data / "scores/scores.parquet", [], SCORES)
    metrics = make_selection(settings(num_pairs=k), ARMS, data, data / "selection")
    assert metrics["selected"] == 0
    assert metrics["mean"] == {"score": None, "clip_cosine": None, "ssim": None}
    assert {arm: list(load_training_pairs(arm, data)) for arm in ARMS} == {arm: [] for arm in ARMS}


def test_inconsistent_inputs_are_errors(settings, data):
    with pytest.raises(ValueError, match=r"params.yaml: arms must name each arm once"):
        make_selection(settings(), ["real", "real"], data, data / "selection")
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    manifest.iloc[3:].to_parquet(data / "images/manifest.parquet")
    with pytest.raises(ValueError, match="holds 2 pictures that data/images does not"):
        make_selection(settings(), ARMS, data, data / "selection")
    (data / "scores/scores.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="run `dvc repro scores` first"):
        make_selection(settings(), ARMS, data, data / "selection")


def test_the_stage_runs_without_torch(settings, data):
    params = settings()
    values = {name: getattr(params, name) for name in params.__slots__}
    (data.parent / "params.yaml").write_text(json.dumps({"select": values, "arms": ARMS}))
    (data.parent / "packages.lock.yaml").write_bytes(Path("packages.lock.yaml").read_bytes())
    program = "import sys, stages.select as s; s.main(); assert not {'torch', 'transformers'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(Path.cwd()), "SYNTHPAIRS_TRACKING": "off"}
    subprocess.run([sys.executable, "-c", program], check=True, cwd=data.parent, env=environment)
    assert json.loads((data.parent / "reports/metrics/select.json").read_text())["selected"] == 3


def test_originals_do_not_have_to_fit_into_memory(settings, data):
    make_selection(settings(num_pairs=4), ARMS, data, data / "selection")
    before = contents(data / "selection")
    pictures = [(key, text, read_bytes(picture)) for key, text, picture in load_training_pairs("real", data)]
    add_pictures(data)
    with little_memory():
        make_selection(settings(num_pairs=4), ARMS, data, data / "selection")
        assert list(load_training_pairs("real", data)) == pictures
    assert contents(data / "selection") == before
