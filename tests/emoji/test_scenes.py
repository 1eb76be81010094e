"""Scenes are functions of their seed, lie within the picture, and are described and drawn as they are."""

import numpy as np
import pytest
from PIL import Image

from synthpairs.emoji.scenes import BACKGROUNDS, KINDS, article, describe, draw_scene, is_plural, plural, render_scene

ROWS = [
    {"drawing": f"{name}/{style}", "name": name, "style": style}
    for name in ("dog", "octopus", "cherries", "ambulance")
    for style in ("noto", "flat")
]
COLOURS = {row["drawing"]: (10 * number, 0, 255 - 10 * number, 255) for number, row in enumerate(ROWS)}
PICTURES = {drawing: Image.new("RGBA", (96, 96), colour) for drawing, colour in COLOURS.items()}


def scenes(kind, count=200):
    rng = np.random.default_rng(0)
    return [draw_scene(ROWS, rng, kind) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_things_lie_within_the_picture_and_do_not_touch(kind):
    for scene in scenes(kind):
        for thing in scene.things:
            assert min(thing.x, thing.y) - thing.size / 2 >= 0
            assert max(thing.x, thing.y) + thing.size / 2 <= 1
        for left, right in zip(scene.things, scene.things[1:], strict=False):
            assert left.x < right.x
            assert max(abs(left.x - right.x), abs(left.y - right.y)) >= (left.size + right.size) / 2 - 0.01


def test_each_kind_is_what_its_name_says():
    for scene in scenes("single"):
        assert len(scene.things) == 1
    for scene in scenes("pair"):
        assert len(scene.names) == len(scene.things) == 2
        assert {thing.drawing.split("/")[1] for thing in scene.things} == {scene.style}
    for scene in scenes("several"):
        assert len(scene.names) == 1
        assert len(scene.things) in (2, 3)
        assert len({thing.drawing for thing in scene.things}) == 1
        assert not is_plural(scene.names[0])


def test_a_pair_of_one_style_each_still_shows_two_concepts():
    rows = [ROWS[0], ROWS[3]]  # dog/noto, octopus/flat
    scene = draw_scene(rows, np.random.default_rng(1), "pair")
    assert set(scene.names) == {"dog", "octopus"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_picture_shows_each_thing_where_the_scene_says(kind):
    for scene in scenes(kind, 20):
        drawn = np.asarray(render_scene(scene, PICTURES, 64))
        assert drawn.shape == (64, 64, 3)
        assert tuple(drawn[0, 0]) == BACKGROUNDS[scene.background]
        for thing in scene.things:
            assert tuple(drawn[round(thing.y * 64), round(thing.x * 64)]) == COLOURS[thing.drawing][:3]
        shown = (drawn != BACKGROUNDS[scene.background]).any(-1).mean()
        assert shown == pytest.approx(sum(thing.size**2 for thing in scene.things), abs=0.03)


def test_descriptions_say_what_how_many_where_and_on_what():
    for scene in scenes("single") + scenes("pair") + scenes("several"):
        name, *right = scene.names
        what = article(name)
        if right:
            what += f" on the left and {article(*right)} on the right"
        elif scene.kind == "several":
            what = f"{ {2: 'two', 3: 'three'}[len(scene.things)] } {plural(name)}"
        assert describe(scene) == f"{what} on {article(scene.background)} background"


@pytest.mark.parametrize(
    ("name", "with_article", "many"),
    [
        ("dog", "a dog", "dogs"),
        ("octopus", "an octopus", "octopuses"),
        ("ambulance", "an ambulance", "ambulances"),
        ("bus", "a bus", "buses"),
        ("mouse", "a mouse", "mice"),
        ("dress", "a dress", "dresses"),
        ("cherries", "cherries", "cherries"),
        ("jeans", "jeans", "jeans"),
        ("orange", "an orange", "oranges"),
    ],
)
def test_grammar(name, with_article, many):
    assert (article(name), plural(name)) == (with_article, many)
