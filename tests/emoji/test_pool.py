"""The training pool is deterministic in its seed and shows training drawings only."""

import pytest
import torch
from PIL import Image

from synthpairs.emoji.pool import compose, draw_scenes, render_scenes
from synthpairs.generation.vq_pairs.listing import pair_list_hash
from tests.scoring.conftest import png

ROWS = [
    {
        "drawing": f"{name}/{style}", "name": name, "style": style, "split": "train", "keywords": [],
        "png": png(Image.new("RGBA", (24, 24), (30 * number, 0, 255 - 30 * number, 255))),
    }
    for number, name in enumerate(("cat", "dog", "bus", "cherries"))
    for style in ("flat", "noto")
]  # fmt: skip


def test_scenes_are_those_of_the_published_models_and_do_not_depend_on_the_count():
    kinds = {"single": 0.5, "pair": 0.25, "several": 0.25}
    pool = compose(ROWS, 3, 50, kinds)
    sha256 = pair_list_hash(pool.scenes, {row["drawing"]: b"png" for row in ROWS})
    # The published models were trained on these scenes; after a change the stage `encode_real_pairs` refuses them.
    assert sha256 == "85f3608f4a4c8a137d899729b3627b9bda7420d2b21a00c6c6331606a12fbffc"
    assert draw_scenes(ROWS, 3, 20, kinds) == pool.scenes[:20]
    assert torch.equal(render_scenes([pool.scenes[7], pool.scenes[31]], ROWS), pool.pictures[[7, 31]])


def test_held_out_drawings_are_refused():
    with pytest.raises(AssertionError):
        draw_scenes([*ROWS, ROWS[0] | {"split": "heldout_style"}], 0, 1, {"single": 1.0})


@pytest.mark.parametrize("kinds", [{"single": 1.0, "triple": 0.5}, {"single": 0.0}, {}])
def test_unknown_kinds_and_empty_shares_are_refused(kinds):
    with pytest.raises(
        ValueError, match=r"params\.yaml: encode_real_pairs\.kinds must give shares of single, pair, several"
    ):
        draw_scenes(ROWS, 0, 1, kinds)


def test_a_kind_without_a_share_is_not_drawn():
    assert {scene.kind for scene in draw_scenes(ROWS, 0, 40, {"pair": 1.0})} == {"pair"}
