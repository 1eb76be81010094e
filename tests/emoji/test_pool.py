"""The training pool is a function of its seed, shows training drawings only, and is rendered as far as is asked."""

import pytest
import torch
from PIL import Image

from synthpairs.emoji.pool import compose, draw_scenes, render_scenes
from synthpairs.generation.vq_pairs.listing import pair_list_hash
from tests.scoring.conftest import png

KINDS = {"single": 0.5, "pair": 0.25, "several": 0.25}


ROWS = [
    {
        "drawing": f"{name}/{style}", "name": name, "style": style, "split": "train", "keywords": [],
        "png": png(Image.new("RGBA", (24, 24), (30 * number, 0, 255 - 30 * number, 255))),
    }
    for number, name in enumerate(("cat", "dog", "bus", "cherries"))
    for style in ("flat", "noto")
]  # fmt: skip


@pytest.fixture(scope="module")
def pool():
    return compose(ROWS, 3, 50, KINDS)


def test_scenes_stay_what_they_are(pool):
    """The published models learnt from scenes drawn like this; a change here makes the `pairs` stage refuse them."""
    sha256 = pair_list_hash(pool.scenes, {row["drawing"]: b"png" for row in ROWS})
    assert sha256 == "85f3608f4a4c8a137d899729b3627b9bda7420d2b21a00c6c6331606a12fbffc"


def test_scenes_do_not_depend_on_how_many_are_drawn_or_rendered(pool):
    assert draw_scenes(ROWS, 3, 20, KINDS) == pool.scenes[:20]
    assert torch.equal(render_scenes([pool.scenes[7], pool.scenes[31]], ROWS), pool.pictures[[7, 31]])


def test_held_out_drawings_are_no_part_of_it():
    with pytest.raises(AssertionError):
        draw_scenes([*ROWS, ROWS[0] | {"split": "heldout_style"}], 0, 1, KINDS)


@pytest.mark.parametrize("kinds", [{"single": 1.0, "triple": 0.5}, {"single": 0.0}, {}])
def test_kinds_that_are_none_are_refused(kinds):
    with pytest.raises(ValueError, match=r"params\.yaml: pairs\.kinds must give shares of single, pair, several"):
        draw_scenes(ROWS, 0, 1, kinds)


def test_a_kind_that_is_not_named_is_not_drawn():
    assert {scene.kind for scene in draw_scenes(ROWS, 0, 40, {"pair": 1.0})} == {"pair"}
