"""Inputs of stage `contamination` in small: a selection from made-up scores, benchmarks, settings for the tiny CLIP."""

import pandas as pd
import pytest

from synthpairs.core.schema import BENCHMARK
from synthpairs.core.storage import read_shard, write_table
from synthpairs.evaluation.contamination.params import Contamination
from synthpairs.selection.make import make_selection
from tests.scoring.conftest import photo, png
from tests.scoring.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data as before  # noqa: F401
from tests.selection.conftest import settings as select  # noqa: F401

REFERENCE = "there is a dog in this picture, I think"


def item(uid, question, answers, picture):
    """A row of BENCHMARK."""
    row = dict.fromkeys(BENCHMARK.names) | {"uid": uid, "question": question, "answers": answers, "drawings": []}
    return row | {"category": "", "concept": "", "picture": picture}


@pytest.fixture
def settings():
    """Makes params, by default without models."""
    values = {"hash_distance": 3, "caption_ngram": 2, "caption_share": 0.5, "max_failed_share": 0.0}
    return lambda **changed: Contamination(**{"cosine_min": None, "text": False, "nsfw": None} | values | changed)


@pytest.fixture
def data(before, select):  # noqa: F811
    """The selection's data with two benchmarks: one has an image of data/images, one a caption."""
    make_selection(select(), ["selected", "real"], before, before / "selection")
    leaked = pd.read_parquet(before / "images/manifest.parquet").iloc[0]
    picture = dict(read_shard(before / "images" / leaked["shard"]))[leaked["key"]]["png"]
    items = [
        item("0", "What is this?", ["a rose, or so"], picture),
        item("1", "Is there a bus?", ["no"], png(photo(64, 1))),
        item("2", "Is there a cat?", ["no"], png(photo(64, 1))),
    ]
    write_table(before / "tasks/vqa.parquet", items, BENCHMARK)
    write_table(before / "tasks/text.parquet", [item("9", "a  Bell", [REFERENCE], None)], BENCHMARK)
    (before / "tasks/instructions.parquet").write_bytes(b"training data, which is not read")
    return before


@pytest.fixture(scope="session")
def classifier(tmp_path_factory):
    """A ViT with random weights and two labels, as a hub directory."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    folder = tmp_path_factory.mktemp("classifier")
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=16, patch_size=8,
        id2label={0: "normal", 1: "nsfw"}, label2id={"normal": 0, "nsfw": 1}, initializer_range=2.0,
    )  # fmt: skip
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder
