import io
import json
from dataclasses import replace

import pandas as pd
import pytest
from PIL import Image

from synthpairs.core import schema
from synthpairs.core.schema import REJECTED
from synthpairs.core.storage import file_sha256, write_table
from synthpairs.report.gallery.make import encode, image_files, make_gallery
from synthpairs.report.gallery.rows import read_rows
from tests.memory import add_pictures, little_memory
from tests.report.gallery.conftest import ARMS, PARAMS, SELECT
from tests.report.gallery.test_page import parsed
from tests.scoring.conftest import photo, png


def test_counts_files_and_rows_agree(data, tmp_path):
    metrics = make_gallery(PARAMS, SELECT, ARMS, data, tmp_path / "out")
    assert metrics["candidate"] == {"all": 21, "shown": 21}
    kinds = ("candidate", "real", "rejected")
    assert sum(metrics["status"].values()) == 29 == sum(metrics[kind]["shown"] for kind in kinds)
    content = parsed((tmp_path / "out/data.js").read_bytes())
    assert len(content["rows"]) == 29
    names = {row[content["fields"].index("picture")] for row in content["rows"]} - {None}
    assert names == {path.name for path in (tmp_path / "out/pictures").iterdir()}
    assert (metrics["with_picture"], metrics["pictures"]) == (26, len(names))
    assert content["about"]["generator"] == "models/painter (SomePipeline, 4 steps, guidance 3)"
    json.dumps(metrics)
    limited = make_gallery(replace(PARAMS, limit=9), SELECT, ARMS, data, tmp_path / "limited")
    assert (limited["candidate"], limited["rejected"]) == ({"all": 21, "shown": 9}, {"all": 4, "shown": 4})


def test_the_same_bytes_again_and_what_is_stale_is_removed(data, tmp_path):
    for name in ("one", "two"):
        make_gallery(PARAMS, SELECT, ARMS, data, tmp_path / name)
    (tmp_path / "two/pictures/old.webp").write_bytes(b"")
    make_gallery(PARAMS, SELECT, ARMS, data, tmp_path / "two")
    assert file_sha256(tmp_path / "one") == file_sha256(tmp_path / "two")


@pytest.mark.parametrize("arms", [[], ["selected"], ["random", "real"]])
def test_any_arms_and_empty_tables_make_a_page(data, tmp_path, arms):
    """One candidate, not selected; nothing rejected, no real pair."""
    tables = {
        "images/manifest": schema.CANDIDATES, "images/failed": schema.FAILED, "scores/scores": schema.SCORES,
        "scores/failed": schema.FAILED, "selection/selected": schema.SELECTED, "captions/rejected": schema.REJECTED,
        **{f"selection/pairs/{arm}": schema.PAIRS for arm in ARMS},
    }  # fmt: skip
    for name, columns in tables.items():
        path = data / f"{name}.parquet"
        write_table(path, pd.read_parquet(path)[: int(name == "images/manifest")], columns)
    metrics = make_gallery(PARAMS, SELECT, arms, data, tmp_path / "out")
    assert [metrics[kind]["all"] for kind in ("candidate", "real", "rejected")] == [1, 0, 0]
    assert len(parsed((tmp_path / "out/data.js").read_bytes())["rows"]) == 1


@pytest.mark.parametrize(
    ("file", "command"), [("selection/pairs/real.parquet", "select"), ("images/shard-0.tar", "images")]
)
def test_a_missing_file_is_named_with_its_stage(data, tmp_path, file, command):
    (data / file).unlink()
    with pytest.raises(FileNotFoundError, match=rf"{file} is missing: run `dvc repro {command}` first"):
        make_gallery(PARAMS, SELECT, ARMS, data, tmp_path / "out")


def test_large_images_are_scaled_down_and_small_ones_stay():
    for side, expected in ((16, 16), (48, 48), (64, 48)):
        image = Image.open(io.BytesIO(encode(png(photo(48, 0)), replace(PARAMS, image_size=side))))
        assert (image.format, image.size) == ("WEBP", (expected, expected))
    assert encode(b"no image", PARAMS) is None


def test_each_row_has_its_own_image(data):
    rows = read_rows(data, ARMS, SELECT)
    images = {row: payload for row, _, payload in image_files(rows, data, PARAMS)}
    # 21 candidates without the unpainted and the broken one; 4 originals; 3 of rejected captions
    assert sorted(row.split(":")[0] for row in images) == ["candidate"] * 19 + ["real"] * 4 + ["rejected"] * 3
    kept, rejected = (pd.read_parquet(data / f"captions/{name}.parquet") for name in ("kept", "rejected"))
    originals = kept.set_index("uid")["original"].add_prefix("real:")
    originals = [originals, rejected.set_index("rejected:" + rejected["uid"] + ".0")["original"]]  # no uid repeats
    for row, original in pd.concat(originals).dropna().items():
        assert images.get(row) == encode(original, PARAMS)


def test_rows_of_one_rejected_caption_have_their_own_images(data):
    table = pd.read_parquet(data / "captions/rejected.parquet")
    write_table(
        data / "captions/rejected.parquet", pd.concat([table, table.assign(original=png(photo(48, 99)))]), REJECTED
    )
    rows = read_rows(data, ARMS, SELECT)
    images = {row: payload for row, _, payload in image_files(rows, data, PARAMS)}
    uid = table["uid"][0]
    assert [images[f"rejected:{uid}.{number}"] for number in (0, 1)] == [
        encode(png(photo(48, seed)), PARAMS) for seed in (90, 99)
    ]


def test_originals_do_not_have_to_fit_into_memory(data, tmp_path):
    add_pictures(data)
    with little_memory():
        metrics = make_gallery(PARAMS, SELECT, ARMS, data, tmp_path / "out")
    assert metrics["rejected"]["all"] == metrics["rejected"]["shown"] == 404
