"""A small emoji world of discs, params that let everything pass, and tiny random models."""

import pandas as pd
import pytest
from PIL import Image, ImageDraw

from synthpairs.captions.params import CaptionParams, Columns, Generated, Judge, Limits, Perplexity, Source, Templates
from synthpairs.captions.templates import template_captions
from synthpairs.core.storage import WorkStore
from synthpairs.models.language.params import Sampling, Served
from tests.captions.tiny import save_blip, save_language_model
from tests.scoring.conftest import png

CONCEPTS = ["cat", "dog", "bus", "cherries"]
WIDE = {
    "max_characters": 300, "alnum_min": 0.0, "special_min": 0.0, "special_max": 1.0, "char_ngram": 10,
    "char_repetition_max": 1.0, "word_ngram": 2, "word_repetition_max": 1.0, "flagged_max": 1.0, "words_min": 0,
    "words_max": 100, "perplexity_max": 1e9, "near_ngram": 5, "near_jaccard": 0.8, "near_bands": 16, "near_rows": 8,
    "judge_min": 0.0, "clip_min": -1.0, "clip_top_share": 1.0,
}  # fmt: skip


@pytest.fixture
def limits():
    """Makes limits that let everything pass, except the given ones."""
    return lambda **changed: Limits(**WIDE | changed)


def source_of(path, kind, **changed):
    """A source with changed fields; `text`, `image` and `source` are its columns."""
    columns = Columns(**{part: changed.pop(part, None) for part in ("text", "image", "source")})
    values = {"name": "web", "path": str(path), "format": kind, "images": None, "limit": None, "licence": None}
    return Source(**values | changed, columns=columns)


@pytest.fixture(scope="session")
def drawings():
    """As data/emoji/drawings.parquet: discs in four styles, of which two are training styles."""
    rows = []
    styles = {"flat": "train", "fox": "train", "noto": "heldout_combination", "openmoji": "heldout_style"}
    for number, name in enumerate(CONCEPTS):
        image = Image.new("RGBA", (32, 32))
        ImageDraw.Draw(image).ellipse((2, 2, 29, 29), fill=(60 * number, 90, 200, 255))
        row = {"concept": name, "name": name, "kind": "object", "licence": "MIT", "keywords": [f"{name}ish", "thing"]}
        row["png"] = png(image)
        rows += [row | {"drawing": f"{name}/{style}", "style": style, "split": styles[style]} for style in styles]
    return pd.DataFrame(rows)


@pytest.fixture
def singles(drawings):
    """Makes template captions of single scenes."""
    kinds = {"single": 1.0}
    return lambda count: template_captions(
        drawings, CONCEPTS, Templates(pictures=count, image_size=32, kinds=kinds, noise={}), 0
    )


@pytest.fixture(scope="session")
def language_model(tmp_path_factory):
    return save_language_model(tmp_path_factory.mktemp("llm"))


@pytest.fixture(scope="session")
def blip(tmp_path_factory):
    return save_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture
def settings(language_model, tiny_clip, limits):
    """Makes section `captions` with the tiny models."""
    values = {
        "seed": 0, "llm": str(language_model), "clip": f"local-dir:{tiny_clip}", "pretrained": None, "batch_size": 8,
        "reference": Templates(pictures=40, image_size=32,
                               kinds={"single": 0.6, "pair": 0.2, "several": 0.2}, noise={"html": 0.2}),
        "generated": Generated(per_concept=3, sampling=Sampling(temperature=1.0, top_p=0.95, top_k=50, max_new_tokens=6)),
        "sources": [], "perplexity": Perplexity(engine="llm", kenlm="models/kenlm"), "blip": None, "limits": limits(),
        "judge": Judge(engine="llm", server=Served(model="pinned-1", extra={}), max_failed_share=0.0),
    }  # fmt: skip
    return lambda **changed: CaptionParams(**values | changed)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with WorkStore("captions", "test").locked() as store:
        yield store


def outputs(root, folder, metrics):
    """Bytes of the files of a folder and of a metrics file, by name."""
    return {path.name: path.read_bytes() for path in (*(root / folder).iterdir(), root / "reports/metrics" / metrics)}
