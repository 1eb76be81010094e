"""The zero-shot probe, and its items in a held-out style."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from synthpairs.experiments.zero_shot import unseen_style, zero_shot_probe
from synthpairs.vlm.model import assemble
from tests.vlm.conftest import _png, narrow, parts  # noqa: F401

COLOURS = {"dog": (200, 30, 30), "cat": (30, 200, 30), "bus": (30, 30, 200)}
CONCEPTS = list(COLOURS)


class Constant(torch.nn.Module):
    """A projector that returns the rows of a matrix, whatever its input."""

    def __init__(self, rows):
        super().__init__()
        self.weight, self.rows = torch.nn.Parameter(torch.zeros(1)), rows

    def forward(self, features):
        return self.rows[:, None].expand(-1, features.shape[1], -1)


def test_a_prediction_is_the_name_nearest_to_the_projector_s_output(narrow):  # noqa: F811
    model, processor = assemble(narrow)
    items = pd.DataFrame({"uid": CONCEPTS, "category": "single", "concept": CONCEPTS, "picture": [_png(0)] * 3})
    words = model.get_input_embeddings().weight.float()
    tokens = [processor.tokenizer(f" {name}", add_special_tokens=False).input_ids for name in CONCEPTS]
    model.model.multi_modal_projector = Constant(torch.stack([words[ids].mean(0) for ids in tokens]))
    answers = zero_shot_probe(model, processor, items, CONCEPTS)
    assert answers["prediction"].tolist() == CONCEPTS
    assert answers["score"].tolist() == [1.0, 1.0, 1.0]
    assert zero_shot_probe(model, processor, items.assign(concept="cat"), CONCEPTS)["score"].sum() == 1.0


def square(colour, side=24):
    buffer = io.BytesIO()
    Image.new("RGBA", (side, side), (*colour, 255)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def drawings():
    """One of each concept in each split; those of the held-out style have the concept's colour."""
    splits = {"train": (0, 0, 0), "heldout_combination": (9, 9, 9), "heldout_style": None}
    return pd.DataFrame(
        {"drawing": f"{name}/{split}", "concept": name, "name": name, "kind": "thing", "keywords": [], "style": split,
         "licence": "CC0-1.0", "split": split, "png": square(other or colour)}
        for name, colour in COLOURS.items()
        for split, other in splits.items()
    )  # fmt: skip


@pytest.fixture
def items():
    return pd.DataFrame(
        {"uid": list("abcd"), "concept": ["dog", "cat", "dog", "bus"], "picture": [square((5, 5, 5), 48)] * 4}
    )


def test_each_item_has_the_held_out_drawing_of_its_concept(items, drawings):
    restyled = unseen_style(items, drawings, CONCEPTS)
    assert restyled.drop(columns="picture").equals(items.drop(columns="picture"))
    for concept, png in zip(restyled["concept"], restyled["picture"], strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
        shown = {name: (pixels == colour).all(1).sum() for name, colour in COLOURS.items()}
        assert len(pixels) == 48 * 48
        assert shown.pop(concept) > 100
        assert not any(shown.values())
    assert restyled["picture"].is_unique
    assert unseen_style(items, drawings, CONCEPTS).equals(restyled)


def test_a_concept_without_a_held_out_drawing_is_an_error(items, drawings):
    with pytest.raises(ValueError, match="no drawing of split heldout_style shows bus"):
        unseen_style(items, drawings[drawings["drawing"] != "bus/heldout_style"], CONCEPTS)
