"""The same things in a style that was held out: pictures of the right concept, of the same size, the same twice."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from synthpairs.studies.styles import unseen_style

COLOURS = {"dog": (200, 30, 30), "cat": (30, 200, 30), "bus": (30, 30, 200)}


def square(colour: tuple[int, ...], side: int = 24) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (side, side), (*colour, 255)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def drawings() -> pd.DataFrame:
    rows = []
    for name, colour in COLOURS.items():
        for split, seen in (("train", (0, 0, 0)), ("heldout_combination", (9, 9, 9)), ("heldout_style", colour)):
            told = {"drawing": f"{name}/{split}", "concept": name, "name": name, "kind": "thing", "keywords": []}
            rows.append(told | {"style": split, "licence": "CC0-1.0", "split": split, "png": square(seen)})
    return pd.DataFrame(rows)


@pytest.fixture
def items() -> pd.DataFrame:
    picture = square((5, 5, 5), 48)
    return pd.DataFrame({"uid": list("abcd"), "concept": ["dog", "cat", "dog", "bus"], "picture": [picture] * 4})


def test_each_item_keeps_its_concept_and_shows_the_held_out_drawing(
    items: pd.DataFrame, drawings: pd.DataFrame
) -> None:
    told = unseen_style(items, drawings, list(COLOURS))
    assert told.drop(columns="picture").equals(items.drop(columns="picture"))
    for concept, png in zip(told["concept"], told["picture"], strict=True):
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).reshape(-1, 3)
        assert len(pixels) == 48 * 48
        assert (pixels == COLOURS[concept]).all(1).sum() > 100
        assert not any((pixels == COLOURS[other]).all(1).any() for other in COLOURS if other != concept)
    assert told["picture"].is_unique


def test_equal_items_have_equal_pictures(items: pd.DataFrame, drawings: pd.DataFrame) -> None:
    assert unseen_style(items, drawings, list(COLOURS)).equals(unseen_style(items, drawings, list(COLOURS)))


def test_a_concept_without_such_a_drawing_is_an_error(items: pd.DataFrame, drawings: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="no drawing of split heldout_style shows bus"):
        unseen_style(items, drawings[drawings["drawing"] != "bus/heldout_style"], list(COLOURS))
