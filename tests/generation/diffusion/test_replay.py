import dataclasses
import io

import pandas as pd
import pytest
from PIL import Image

from synthpairs.core.storage import read_shard
from synthpairs.generation.diffusion.make import make_images
from synthpairs.generation.diffusion.replay import replay


def test_the_same_bytes_alone_as_in_a_batch(captions, settings, tmp_path, monkeypatch):
    params = settings()
    make_images(captions, params, tmp_path)
    row = pd.read_parquet(tmp_path / "manifest.parquet").iloc[5]
    again = replay(row["key"][:10], params, tmp_path)
    assert (again.key, again.text) == (row["key"], row["text"])
    assert again.equal_bytes
    assert (again.largest, again.mean, again.share) == (0, 0, 0)
    png = dict(read_shard(tmp_path / row["shard"]))[row["key"]]["png"]
    assert again.picture == png
    picture, buffer = Image.open(io.BytesIO(png)), io.BytesIO()
    red, green, blue = picture.getpixel((3, 4))
    picture.putpixel((3, 4), (red ^ 8, green, blue))
    picture.save(buffer, "PNG")
    stored = [(row["key"], {"png": buffer.getvalue()})]
    monkeypatch.setattr("synthpairs.generation.diffusion.replay.read_shard", lambda _: stored)
    again = replay(row["key"], params, tmp_path)
    assert (again.equal_bytes, again.largest) == (False, 8)
    assert (again.share, again.mean) == pytest.approx((1 / 32**2, 8 / (3 * 32**2)))
    with pytest.raises(ValueError, match="was made by another generator: guidance, steps differ"):
        replay(row["key"], dataclasses.replace(params, num_inference_steps=3, guidance_scale=1.0), tmp_path)
    total = len(pd.read_parquet(tmp_path / "manifest.parquet"))
    for key, count in (("ffffffffff", "none"), ("", total)):
        with pytest.raises(ValueError, match=f"'{key}' begins {count} of the {total} keys"):
            replay(key, params, tmp_path)
