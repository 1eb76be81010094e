"""A small world of drawn discs, settings that let everything pass, and a tiny random language model."""

import io

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from synthpairs.captions.params import CaptionParams, Human, Judge, Limits, Model, Perplexity
from synthpairs.core.storage import WorkStore
from synthpairs.models.language.params import Sampling, Served
from tests.captions.tiny import save_language_model

CONCEPTS = ["cat", "dog", "bus", "cherries"]
WIDE = {
    "max_characters": 300, "alnum_min": 0.0, "special_min": 0.0, "special_max": 1.0, "char_ngram": 10,
    "char_repetition_max": 1.0, "word_ngram": 2, "word_repetition_max": 1.0, "flagged_max": 1.0, "words_min": 0,
    "words_max": 100, "perplexity_max": 1e9, "near_ngram": 5, "near_jaccard": 0.8, "near_bands": 16, "near_rows": 8,
    "judge_min": 0.0, "clip_min": -1.0, "clip_top_share": 1.0,
}  # fmt: skip


@pytest.fixture
def limits():
    """Limits that let everything pass but what is named."""
    return lambda **changed: Limits(**WIDE | changed)


@pytest.fixture(scope="session")
def drawings():
    """As data/art/drawings.parquet: discs in four styles, one of them only for evaluation."""
    rows = []
    styles = {"flat": "train", "fox": "train", "noto": "heldout_combination", "openmoji": "heldout_style"}
    for number, name in enumerate(CONCEPTS):
        for style, split in styles.items():
            image = Image.new("RGBA", (32, 32))
            ImageDraw.Draw(image).ellipse((2, 2, 29, 29), fill=(60 * number, 90, 200, 255))
            png = io.BytesIO()
            image.save(png, "PNG")
            rows.append(
                {
                    "drawing": f"{name}/{style}", "concept": name, "name": name, "kind": "object", "style": style,
                    "keywords": [f"{name}ish", "thing"], "licence": "MIT", "split": split, "png": png.getvalue(),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    """Directory of a tiny random language model."""
    return save_language_model(tmp_path_factory.mktemp("llm"))


@pytest.fixture
def settings(language_model, tiny_clip, limits):
    """Section `captions` with the tiny models."""
    sampling = Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=6)
    values = {
        "seed": 0,
        "llm": str(language_model),
        "clip": f"local-dir:{tiny_clip}",
        "pretrained": None,
        "batch": 8,
        "human": Human(pictures=40, side=32, kinds={"single": 0.6, "pair": 0.2, "several": 0.2}, noise={"html": 0.2}),
        "model": Model(per_concept=3, sampling=sampling),
        "sources": [],
        "perplexity": Perplexity(engine="llm", kenlm="models/kenlm"),
        "judge": Judge(engine="llm", server=Served(model="pinned-1", extra={}), max_failed_share=0.0),
        "blip": None,
        "limits": limits(),
    }
    return lambda **changed: CaptionParams(**values | changed)


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A work store in the test's own directory."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with WorkStore("captions", "test").locked() as store:
        yield store
