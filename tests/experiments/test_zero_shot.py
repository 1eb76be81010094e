"""The zero-shot probe, and the same things in a style that was held out."""

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


def test_a_prediction_is_the_name_nearest_to_the_projector_s_output(narrow):  # noqa: F811
    model, processor = assemble(narrow)
    items = pd.DataFrame(
        {"uid": list("abc"), "category": "single", "concept": CONCEPTS, "picture": [_png(n) for n in range(3)]}
    )
    words = model.get_input_embeddings().weight.float()
    tokens = [processor.tokenizer(f" {name}", add_special_tokens=False).input_ids for name in CONCEPTS]
    names = torch.stack([words[ids].mean(0) for ids in tokens])

    class Names(torch.nn.Module):
        """Gives the names one after another, whatever the picture."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, features):
            return names[:, None].expand(-1, features.shape[1], -1)

    model.model.multi_modal_projector = Names()
    answers = zero_shot_probe(model, processor, items, CONCEPTS)
    assert answers["prediction"].tolist() == CONCEPTS
    assert answers["score"].tolist() == [1.0, 1.0, 1.0]
    assert zero_shot_probe(model, processor, items.assign(concept="cat"), CONCEPTS)["score"].sum() == 1.0


def square(colour: tuple[int, ...], side: int = 24) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (side, side), (*colour, 255)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def drawings() -> pd.DataFrame:
    rows = []
    for name, colour in COLOURS.items():
        for split, shown in (("train", (0, 0, 0)), ("heldout_combination", (9, 9, 9)), ("heldout_style", colour)):
            row = {"drawing": f"{name}/{split}", "concept": name, "name": name, "kind": "thing", "keywords": []}
            rows.append(row | {"style": split, "licence": "CC0-1.0", "split": split, "png": square(shown)})
    return pd.DataFrame(rows)


@pytest.fixture
def items() -> pd.DataFrame:
    picture = square((5, 5, 5), 48)
    return pd.DataFrame({"uid": list("abcd"), "concept": ["dog", "cat", "dog", "bus"], "picture": [picture] * 4})


def test_each_item_keeps_its_concept_and_shows_the_held_out_drawing(
    items: pd.DataFrame, drawings: pd.DataFrame
) -> None:
    restyled = unseen_style(items, drawings, CONCEPTS)
    assert restyled.drop(columns="picture").equals(items.drop(columns="picture"))
    for concept, png in zip(restyled["concept"], restyled["picture"], strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
        assert len(pixels) == 48 * 48
        assert (pixels == COLOURS[concept]).all(1).sum() > 100
        assert not any((pixels == COLOURS[other]).all(1).any() for other in COLOURS if other != concept)
    assert restyled["picture"].is_unique
    assert unseen_style(items, drawings, CONCEPTS).equals(restyled)


def test_a_concept_without_such_a_drawing_is_an_error(items: pd.DataFrame, drawings: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no drawing of split heldout_style shows bus"):
        unseen_style(items, drawings[drawings["drawing"] != "bus/heldout_style"], CONCEPTS)
