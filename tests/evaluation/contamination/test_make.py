import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from synthpairs.core.schema import BENCHMARK, CANDIDATES, CONTAMINATION, PAIRS, REJECTED, SELECTED
from synthpairs.core.storage import read_shard, shard_bytes, write_table
from synthpairs.evaluation.contamination import make
from synthpairs.evaluation.contamination.make import FLAGS, measure_contamination
from synthpairs.evaluation.contamination.params import Nsfw
from tests.evaluation.contamination.conftest import item
from tests.memory import add_pictures, little_memory
from tests.scoring.conftest import photo, png


@pytest.fixture
def contamination(data, settings, scores):
    """Runs the stage with changed params; returns metrics and table."""

    def run(**changed):
        metrics, _ = measure_contamination(settings(**changed), scores(), data, data / "contamination")
        return metrics, pd.read_parquet(data / "contamination/contamination.parquet")

    return run


def flagged(rows, flag):
    return rows[[flag in flags for flags in rows["flags"]]]


def test_every_candidate_and_real_pair_has_a_row_and_benchmark_images_are_flagged(data, contamination, classifier):
    metrics, rows = contamination()
    assert list(rows.columns) == CONTAMINATION.names
    assert rows["key"].is_monotonic_increasing
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    real = pd.read_parquet(data / "selection/pairs/real.parquet")
    assert set(rows["key"]) == set(manifest["key"]) | set(real["key"])
    assert set(rows.loc[rows["selected"], "key"]) == set(pd.read_parquet(data / "selection/selected.parquet")["key"])
    pairs = {name: counts["pairs"] for name, counts in metrics["sets"].items()}
    assert pairs == {"candidates": 16, "selected": 3, "real": len(real)}
    assert metrics["benchmarks"] == {"texts": 7, "pictures": 2}, "equal questions and pictures count once"
    measured = {make.UNREADABLE, make.DUPLICATE, make.IMAGE_HASH, make.CAPTION_EXACT, make.CAPTION_SHARE}
    assert {flag for flag in FLAGS if metrics["sets"]["candidates"][flag] is not None} == measured
    assert rows[["picture_cosine", "written", "nsfw", "error"]].isna().all(axis=None)
    metrics, rows = contamination(
        cosine_min=0.99999, nsfw=Nsfw(model=str(classifier), label="nsfw", min=0.5, batch_size=4)
    )
    leaked = rows.set_index("key").loc[manifest["key"][0]]
    items = leaked["picture_bits_item"], leaked["picture_cosine_item"]
    assert (leaked["picture_bits"], items) == (0, ("vqa/0", "vqa/0"))
    assert leaked["picture_cosine"] == pytest.approx(1, abs=1e-5)
    assert {make.IMAGE_HASH, make.IMAGE_COSINE} <= set(leaked["flags"])
    assert metrics["sets"]["candidates"][make.IMAGE_HASH] == len(flagged(rows, make.IMAGE_HASH)) >= 1
    others = rows[rows["key"] != manifest["key"][0]]
    assert others["picture_bits"].min() > 3
    assert others["picture_cosine"].max() < 1
    assert rows["nsfw"].between(0, 1).all()
    assert set(flagged(rows, make.NSFW)["key"]) == set(rows.loc[rows["nsfw"] >= 0.5, "key"])
    assert metrics["sets"]["candidates"][make.NSFW] == (rows.loc[rows["origin"] == "synthetic", "nsfw"] >= 0.5).sum()


def test_captions_of_benchmarks_are_flagged(data, contamination):
    metrics, rows = contamination()
    by_text = rows.drop_duplicates("text").set_index("text")
    assert by_text.loc["a dog", ["caption_share", "caption_exact", "caption_item"]].tolist() == [1, False, "text/9"]
    assert by_text.loc["a rose", "caption_item"] == "vqa/0"
    assert by_text.loc["a bell", "caption_share"] == 1, "case does not count"
    assert not by_text.loc["a bell", "caption_exact"], "for an exact match it does"
    assert by_text.loc["a snail", "caption_share"] == 0
    assert pd.isna(by_text.loc["a snail", "caption_item"])
    assert set(flagged(rows, make.CAPTION_SHARE)["text"]) == {"a dog", "a rose", "a bell", "a bus", "a cat"}
    assert metrics["sets"]["candidates"]["short_captions"] == 0
    write_table(data / "tasks/text.parquet", [item("9", "a  bell", ["?"], None)], BENCHMARK)
    metrics, rows = contamination()
    assert set(flagged(rows, make.CAPTION_EXACT)["text"]) == {"a bell"}
    assert metrics["sets"]["candidates"][make.CAPTION_EXACT] == 2, "two candidates of one caption"


def test_near_duplicates_are_grouped_and_counted(data, contamination):
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    one, other = manifest.iloc[0], manifest[manifest["uid"] != manifest["uid"][0]].iloc[0]
    payload = dict(read_shard(data / "images" / one["shard"]))[one["key"]]["png"]
    path = data / "images" / other["shard"]
    samples = [(key, members | ({"png": payload} if key == other["key"] else {})) for key, members in read_shard(path)]
    path.write_bytes(shard_bytes(samples))
    metrics, rows = contamination()
    groups = rows[rows["origin"] == "synthetic"].dropna(subset=["group"])
    assert set(groups["key"]) == {one["key"], other["key"]}
    assert set(groups["group"]) == {min(one["key"], other["key"])}
    names = (make.DUPLICATE, "groups", "largest_group", "groups_of_several_captions")
    assert [metrics["sets"]["candidates"][name] for name in names] == [2, 1, 2, 1]
    assert metrics["sets"]["real"]["groups"] == 1, "two captions of the made-up originals have one image"


def test_output_is_deterministic_and_results_are_reused(data, settings, scores, edit_code):
    params = settings(cosine_min=0.9)
    first, volatile = measure_contamination(params, scores(), data, data / "one")
    assert volatile == {"reused": 0}
    second, volatile = measure_contamination(params, scores(), data, data / "two")
    assert volatile == {"reused": sum(first["sets"][name]["pairs"] for name in ("candidates", "real"))}
    assert first == second
    json.dumps(first)
    assert (data / "one/contamination.parquet").read_bytes() == (data / "two/contamination.parquet").read_bytes()
    write_table(data / "tasks/vqa.parquet", [item("5", "What?", ["x"], None)], BENCHMARK)
    metrics, volatile = measure_contamination(params, scores(), data, data / "three")
    assert volatile == {"reused": 0}, "other benchmarks, other measures"
    edit_code()
    assert measure_contamination(params, scores(), data, data / "three")[1] == {"reused": 0}
    assert metrics["benchmarks"]["pictures"] == 0
    assert metrics["sets"]["candidates"][make.IMAGE_COSINE] is None


def test_an_unreadable_image_affects_only_its_own_row(data, contamination):
    contamination()
    whole = pq.read_table(data / "contamination/contamination.parquet").to_pylist()
    manifest = pd.read_parquet(data / "images/manifest.parquet")
    path = data / "images" / manifest["shard"][3]
    keys = manifest.loc[manifest["shard"] == manifest["shard"][3], "key"].tolist()
    samples = dict(read_shard(path))
    samples[keys[0]]["png"] = samples[keys[0]]["png"][:90]
    del samples[keys[1]]["png"]
    path.write_bytes(shard_bytes(samples.items()))
    with pytest.raises(ValueError, match=r"2 of \d+ images cannot be read, .* contamination.max_failed_share"):
        contamination()
    metrics, rows = contamination(max_failed_share=0.2)
    bad = rows[rows["error"].notna()]
    assert set(bad["key"]) == set(keys[:2])
    assert "there is no picture under this key" in set(bad["error"])
    assert bad["phash"].isna().all()
    assert metrics["sets"]["candidates"][make.UNREADABLE] == 2
    rest = pq.read_table(data / "contamination/contamination.parquet").to_pylist()
    assert [row for row in rest if row["key"] not in keys[:2]] == [row for row in whole if row["key"] not in keys[:2]]


@pytest.mark.parametrize(("real", "selected"), [(None, 1), (0, 0), (1, 1)])
def test_small_sets_are_counted_like_others(data, contamination, real, selected):
    """A single candidate; `real` is None where that arm is not made."""
    for path, count, schema in (("images/manifest", 1, CANDIDATES), ("selection/selected", selected, SELECTED)):
        write_table(data / f"{path}.parquet", pd.read_parquet(data / f"{path}.parquet")[:count], schema)
    only = set(pd.read_parquet(data / "images/manifest.parquet")["key"])
    chosen = pd.read_parquet(data / "selection/selected.parquet")
    write_table(data / "selection/selected.parquet", chosen.assign(key=sorted(only)[: len(chosen)]), SELECTED)
    path = data / "selection/pairs/real.parquet"
    if real is None:
        path.unlink()
    else:
        write_table(path, pd.read_parquet(path)[:real], PAIRS)
    metrics, rows = contamination(cosine_min=0.9)
    pairs = {name: counts["pairs"] for name, counts in metrics["sets"].items()}
    assert pairs == {"candidates": 1, "selected": selected, "real": real or 0}
    assert len(rows) == 1 + (real or 0)
    assert json.dumps(metrics, allow_nan=False)


def test_inputs_that_are_missing_are_named(data, contamination):
    def fails(message):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            contamination()

    write_table(data / "tasks/vqa.parquet", [item("0", "What?", ["x"], b"no picture")], BENCHMARK)
    fails(r"data/tasks: the image of vqa/0 cannot be read .* run `dvc repro tasks`")
    for path in (data / "tasks").glob("*.parquet"):
        path.unlink()
    fails("holds no benchmark: run `dvc repro tasks` first")
    (data / "selection/selected.parquet").unlink()
    fails("run `dvc repro select` first")


def test_originals_do_not_have_to_fit_into_memory(data, contamination):
    _, before = contamination()
    add_pictures(data)
    with little_memory():
        assert contamination()[1].equals(before)


def test_of_equal_captions_the_original_that_the_arm_real_trains_on_is_inspected(data, contamination):
    _, before = contamination()
    kept, rejected = (pd.read_parquet(data / f"captions/{name}.parquet") for name in ("kept", "rejected"))
    again = kept[kept["source"] == "human"].assign(original=png(photo(32, 9)), reason="exact_duplicate", detail="")
    write_table(data / "captions/rejected.parquet", pd.concat([rejected, again]), REJECTED)
    assert contamination()[1].equals(before)
