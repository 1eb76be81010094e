"""A few captions, and settings that paint them with the tiny generator in a second."""

import pandas as pd
import pytest

from synthpairs.core.schema import caption_uid
from synthpairs.generation.diffusion.params import Images

TEXTS = ["a red dog", "two cats", "a bus on blue", "a bell", "three snails", "a rose", "a guitar, drawing", "fire"]


def captions_of(texts):
    """Captions as the curation writes them, as far as the images stage reads them."""
    rows = [{"uid": caption_uid(text, "model"), "text": text, "concept": text.split()[-1]} for text in texts]
    return pd.DataFrame(rows)


@pytest.fixture
def captions():
    """Eight short captions."""
    return captions_of(TEXTS)


@pytest.fixture
def settings(tiny_generator, tmp_path, monkeypatch):
    """Makes params for the tiny generator; the work store goes to the test's own directory."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    values = {
        "generator": str(tiny_generator), "refiner": None, "vae": None, "lora": None, "candidates": 2,
        "draft": None, "limit": None, "steps": 2, "guidance": 3.0, "negative_prompt": None, "side": 32,
        "scheduler": None, "scheduler_options": None, "max_sequence_length": None, "long_prompts": "cut",
        "dtype": "float32", "batch": 4, "format": "png", "mark": True, "samples_per_shard": 8,
        "max_failed_share": 0.0,
    }  # fmt: skip
    return lambda **changed: Images(**values | changed)
