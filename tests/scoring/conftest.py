"""Pictures in shards like those of the images stage, and params for the tiny CLIP."""

import hashlib
import io
import json
from functools import cache

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
from PIL import Image

from synthpairs.core.schema import CANDIDATES, candidate_key, caption_uid, noise_seed
from synthpairs.core.shards import shard_keys, shard_name, write_shards
from synthpairs.core.storage import write_table
from synthpairs.scoring.params import Scores, Ssim

SSIM = {"resize_to": None, "downscale_to": 21, "kernel": "bilinear", "window": "uniform7", "colour": "gray"}


def photo(side, seed):
    """A picture with smooth shades and a hard-edged, a flat and a noisy patch, as in photos."""
    rng = np.random.default_rng(seed)
    shades = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    pixels = np.asarray(shades.resize((side, side), Image.Resampling.BICUBIC)).astype(float)
    pixels[side // 8 : side // 3, side // 8 : side // 2] = rng.integers(0, 256, 3)
    pixels[:, -side // 6 :] = 250
    corner = pixels[side // 2 :, : side // 2]
    corner += rng.normal(0, 20, corner.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def png(picture):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write_images(folder, texts, candidates, per_shard, broken=None):
    """Write shards and manifest for captions; `broken` has other bytes for single pictures, by row."""
    rows = []
    for text in texts:
        uid = caption_uid(text, "model")
        for number in range(candidates):
            key = candidate_key(uid, number, "g")
            row = {"key": key, "uid": uid, "text": text, "concept": text.split()[-1], "number": number}
            rows.append(row | {"seed": noise_seed(key), "generator": "g", "tokens": 5})
    rows.sort(key=lambda row: row["key"])
    pictures = {row["key"]: png(photo(64, row["seed"])) for row in rows}
    pictures |= {rows[number]["key"]: payload for number, payload in (broken or {}).items()}
    by_key = {row["key"]: row for row in rows}
    shards = []
    for keys in shard_keys(by_key, per_shard):
        samples = []
        for key in keys:
            by_key[key] |= {"shard": shard_name(keys), "sha256": hashlib.sha256(pictures[key] or b"").hexdigest()}
            about = {column: value for column, value in by_key[key].items() if column not in ("text", "shard")}
            members = {"txt": by_key[key]["text"].encode(), "json": json.dumps(about).encode()}
            samples.append((key, members | ({"png": pictures[key]} if pictures[key] is not None else {})))
        shards.append((shard_name(keys), samples))
    write_shards(folder, shards)
    write_table(folder / "manifest.parquet", rows, CANDIDATES)
    return pd.DataFrame(rows)


@cache
def open_clip_parts(name):
    model, _, transform = open_clip.create_model_and_transforms(name)
    return model.eval(), transform, open_clip.get_tokenizer(name)


def plain_cosine(name, picture, text):
    """CLIP cosine by plain calls of open_clip."""
    model, transform, tokenizer = open_clip_parts(name)
    with torch.inference_mode():
        image = model.encode_image(transform(picture)[None], normalize=True)
        return (image @ model.encode_text(tokenizer([text]), normalize=True).T).item()


@pytest.fixture
def settings(tiny_clip, tmp_path, monkeypatch):
    """Makes params of the tiny CLIP; the work store is in tmp_path."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    values = {
        "clip": f"local-dir:{tiny_clip}", "pretrained": None, "prefix": "A photo depicts ", "precision": "fp32",
        "batch_size": 4, "ssim": Ssim(**SSIM), "max_failed_share": 0.5,
    }  # fmt: skip
    return lambda **changed: Scores(**values | changed)
