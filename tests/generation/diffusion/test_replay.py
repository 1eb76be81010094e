"""A picture made again is the stored one; what would make another one is named."""

import dataclasses
import io

import pandas as pd
import pytest
from PIL import Image

from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.replay import replay


@pytest.fixture
def made(captions, settings, tmp_path):
    """Params, the directory of pictures, and its manifest."""
    params, out = settings(), tmp_path / "images"
    make_images(captions, params, out)
    return params, out, pd.read_parquet(out / "manifest.parquet")


def test_the_same_bytes_alone_as_in_a_batch(made):
    params, out, manifest = made
    row = manifest.iloc[5]
    again = replay(row["key"][:10], params, out)
    assert (again.key, again.text) == (row["key"], row["text"])
    assert again.equal_bytes
    assert (again.largest, again.mean, again.share) == (0, 0, 0)
    assert again.picture == dict(read_shard(out / row["shard"]))[row["key"]]["png"]


def test_a_difference_is_measured(made, monkeypatch):
    params, out, manifest = made
    row = manifest.iloc[0]
    samples = dict(read_shard(out / row["shard"]))
    picture = Image.open(io.BytesIO(samples[row["key"]]["png"]))
    red, green, blue = picture.getpixel((3, 4))
    picture.putpixel((3, 4), (red ^ 8, green, blue))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    monkeypatch.setattr(
        "synthpairs.generation.diffusion.replay.read_shard", lambda _: [(row["key"], {"png": buffer.getvalue()})]
    )
    again = replay(row["key"], params, out)
    assert not again.equal_bytes
    assert again.largest == 8
    assert again.share == pytest.approx(1 / 32**2)
    assert again.mean == pytest.approx(8 / (3 * 32**2))


def test_other_settings_are_named(made):
    params, out, manifest = made
    other = dataclasses.replace(params, steps=3, guidance=1.0)
    with pytest.raises(ValueError, match="was made by another generator: guidance, steps differ"):
        replay(manifest["key"][0], other, out)


@pytest.mark.parametrize(("key", "fault"), [("ffffffffff", "begins no key"), ("a", "begins no key"), ("", "begins no")])
def test_a_key_that_is_none(made, key, fault):
    with pytest.raises(ValueError, match=fault):
        replay(key, made[0], made[1])
