import json
from dataclasses import replace

import pandas as pd
import pytest

from synthpairs.gallery.make import make_gallery
from synthpairs.schema import CANDIDATES, FAILED, PAIRS, REJECTED, SCORES, SELECTED
from synthpairs.storage import file_sha256, write_table
from tests.gallery.conftest import ARMS
from tests.gallery.test_page import parsed


def test_counts_files_and_rows_agree(data, params, select, tmp_path):
    metrics = make_gallery(params, select, ARMS, data, tmp_path / "out")
    assert metrics["candidate"] == {"all": 21, "shown": 21}
    assert (
        sum(metrics["status"].values())
        == 29
        == sum(metrics[kind]["shown"] for kind in ("candidate", "real", "rejected"))
    )
    told = parsed((tmp_path / "out/data.js").read_bytes())
    assert len(told["rows"]) == 29
    names = {row[told["fields"].index("picture")] for row in told["rows"]} - {None}
    assert names == {path.name for path in (tmp_path / "out/pictures").iterdir()}
    assert (metrics["with_picture"], metrics["pictures"]) == (26, len(names))
    assert told["about"]["generator"] == "models/painter (SomePipeline, 4 steps, guidance 3)"
    json.dumps(metrics)


def test_the_same_bytes_again_and_what_is_stale_is_removed(data, params, select, tmp_path):
    for name in ("one", "two"):
        make_gallery(params, select, ARMS, data, tmp_path / name)
    (tmp_path / "two/pictures/old.webp").write_bytes(b"")
    make_gallery(params, select, ARMS, data, tmp_path / "two")
    assert file_sha256(tmp_path / "one") == file_sha256(tmp_path / "two")


def test_a_limit_holds_for_each_kind(data, params, select, tmp_path):
    metrics = make_gallery(replace(params, limit=9), select, ARMS, data, tmp_path / "out")
    assert metrics["candidate"] == {"all": 21, "shown": 9}
    assert metrics["rejected"] == {"all": 4, "shown": 4}


@pytest.mark.parametrize("arms", [[], ["selected"], ["real"], ["random", "real"]])
def test_any_arms_and_empty_tables_make_a_page(data, params, select, tmp_path, arms):
    """One candidate, not selected; nothing rejected, no real pair."""
    tables = {
        "images/manifest": (CANDIDATES, 1), "images/failed": (FAILED, 0), "scores/scores": (SCORES, 0),
        "scores/failed": (FAILED, 0), "selected/selected": (SELECTED, 0), "captions/rejected": (REJECTED, 0),
        "selected/pairs/real": (PAIRS, 0), "selected/pairs/selected": (PAIRS, 0), "selected/pairs/random": (PAIRS, 0),
    }  # fmt: skip
    for name, (schema, count) in tables.items():
        path = data / f"{name}.parquet"
        write_table(path, pd.read_parquet(path)[:count], schema)
    metrics = make_gallery(params, select, arms, data, tmp_path / "out")
    assert [metrics[kind]["all"] for kind in ("candidate", "real", "rejected")] == [1, 0, 0]
    assert len(parsed((tmp_path / "out/data.js").read_bytes())["rows"]) == 1


def test_a_missing_table_is_named_with_its_stage(data, params, select, tmp_path):
    (data / "selected/pairs/real.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"real\.parquet is missing: run `dvc repro select` first"):
        make_gallery(params, select, ARMS, data, tmp_path / "out")
