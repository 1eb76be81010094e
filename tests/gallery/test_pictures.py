import io
from dataclasses import replace

import pytest
from PIL import Image

from synthpairs.gallery.pictures import encode, picture_files
from synthpairs.gallery.rows import read_rows
from tests.gallery.conftest import ARMS
from tests.scores.conftest import photo, png


def test_large_pictures_are_scaled_down_and_small_ones_stay(params):
    for side, expected in ((16, 16), (48, 48), (64, 48)):
        payload = encode(png(photo(48, 0)), replace(params, side=side))
        picture = Image.open(io.BytesIO(payload))
        assert (picture.format, picture.size) == ("WEBP", (expected, expected))


def test_what_is_no_picture_is_none(params):
    assert encode(b"no picture", params) is None


def test_each_row_has_its_own_picture(data, select, params):
    rows = read_rows(data, ARMS, select)
    found = {row: payload for row, _, payload in picture_files(rows, data / "images", params)}
    # 21 candidates without the unpainted and the broken one; 4 originals; 3 of rejected captions
    assert sorted(row.split(":")[0] for row in found) == ["candidate"] * 19 + ["real"] * 4 + ["rejected"] * 3
    for row in rows["real"].to_dict("records"):
        assert found[f"real:{row['id']}"] == encode(row["original"], params)


def test_a_missing_shard_is_named_with_its_stage(data, select, params):
    rows = read_rows(data, ARMS, select)
    (data / "images/shard-0.tar").unlink()
    with pytest.raises(FileNotFoundError, match=r"shard-0\.tar is missing: run `dvc repro images`"):
        list(picture_files(rows, data / "images", params))
