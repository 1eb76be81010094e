"""A data folder like that of the stages before `select`, small and with made-up scores."""

import numpy as np
import pandas as pd
import pytest

from synthpairs.captions.params import CaptionParams
from synthpairs.core.config import convert_section, read_mapping
from synthpairs.core.schema import CAPTIONS, REJECTED, SCORES, caption_uid, digest
from synthpairs.core.storage import read_shard, write_json, write_table
from synthpairs.models.language.params import GgufSource
from synthpairs.selection.params import Select
from tests.pipeline import ROOT
from tests.scoring.conftest import photo, png, write_images

# Of this repository.
CURATION = convert_section(CaptionParams, "captions", read_mapping(ROOT / "params.yaml"))
LANGUAGE_MODEL = convert_section(GgufSource, "language_model", read_mapping(ROOT / "params.yaml"))
TEXTS = [f"a {thing}" for thing in ("dog", "cat", "bus", "bell", "snail", "rose", "guitar", "rocket")]


@pytest.fixture
def settings():
    """Makes params; by default the paper's formula, k of 3."""
    values = {
        "strategy": "top", "normalisation": "sum", "num_pairs": 3, "clip_weight": 1.0, "clip_scale": 1.0, "ssim_weight": 0.5,
        "best_of": True, "per_concept": None, "seed": 0, "samples_per_shard": 2,
    }  # fmt: skip
    return lambda **changed: Select(**values | changed)


def caption_row(text, source, reason, seed):
    """A row of CAPTIONS or REJECTED; reference captions have an original picture."""
    row = dict.fromkeys(REJECTED.names) | {"uid": caption_uid(text, source), "text": text, "source": source}
    row |= {"concept": text.split()[-1], "drawings": [], "reason": reason, "detail": ""}
    if source == "human":
        row |= {"original": png(photo(32, seed)), "clip_original": 0.25 if reason in (None, "alignment") else None}
    return row


@pytest.fixture
def data(tmp_path):
    """8 captions with 2 candidates each, one of which has no score; 2 reference captions kept, 3 rejected."""
    folder = tmp_path / "data"
    manifest = write_images(folder / "images", TEXTS, 2, per_shard=6, broken={})
    rng = np.random.default_rng(0)
    scores = manifest.assign(clip_cosine=rng.uniform(0.1, 0.4, 16).round(3), ssim=rng.uniform(0.5, 1, 16).round(3))
    write_table(folder / "scores/scores.parquet", scores.assign(clip_tokens=9).iloc[1:], SCORES)
    inputs = {"model": "models/x", "pipeline": "SomePipeline", "scheduler": {"class": "SomeScheduler"}, "steps": 4}
    inputs |= {"guidance": 3.0, "side": 64, "format": "png"}
    write_json(folder / "images/generator.json", {"fingerprint": digest("g"), "inputs": inputs})
    clip = {"clip": "local-dir:x", "pretrained": None, "prefix": "A photo depicts "}
    ssim = {"resize_to": None, "downscale_to": 21, "kernel": "bilinear", "window": "uniform7", "colour": "gray"}
    write_json(folder / "scores/scorer.json", {"inputs": {"clip": clip, "ssim": ssim}})
    kept = [caption_row(text, "model", None, 0) for text in TEXTS]
    kept += [caption_row(text, "human", None, seed) for seed, text in enumerate(["an ant", "a pear"])]
    bad = [("a hat", "human", "alignment"), ("a fan", "human", "alignment"), ("!!", "human", "alphanumeric")]
    rejected = [caption_row(*row, seed) for seed, row in enumerate([*bad, ("a spam", "model", "judge")])]
    write_table(folder / "captions/kept.parquet", kept, CAPTIONS)
    write_table(folder / "captions/rejected.parquet", rejected, REJECTED)
    return folder


@pytest.fixture
def candidates():
    """30 candidates of 10 captions with ties, a negative cosine and a missing score."""
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"key": [digest("key", number) for number in range(30)]})
    rows["uid"] = [digest("uid", number // 3) for number in range(30)]
    rows["clip_cosine"] = rng.integers(10, 40, 30) / 100
    rows["ssim"] = rng.integers(5, 10, 30) / 10
    rows.loc[4, "clip_cosine"], rows.loc[7, "ssim"] = -0.3, np.nan
    rows.loc[10:12, ["clip_cosine", "ssim"]] = 0.39, 0.9
    return rows


ARMS = ["selected", "random", "real"]


def pictures_of(folder):
    """Members of all samples in a folder's shards, by key."""
    return {key: members for shard in sorted(folder.glob("shard-*.tar")) for key, members in read_shard(shard)}
