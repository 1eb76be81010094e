"""Scenes lie within the image, and are rendered and described as they are."""

import numpy as np
import pytest
from PIL import Image

from synthpairs.emoji.scenes import (
    BACKGROUNDS,
    KINDS,
    NUMBERS,
    article,
    describe,
    draw_scene,
    is_plural,
    plural,
    render_scene,
)

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
def test_things_lie_within_the_image_and_do_not_touch(kind):
    for scene in scenes(kind):
        for thing in scene.things:
            assert min(thing.x, thing.y) - thing.size / 2 >= 0
            assert max(thing.x, thing.y) + thing.size / 2 <= 1
        for left, right in zip(scene.things, scene.things[1:], strict=False):
            assert left.x < right.x
            assert max(abs(left.x - right.x), abs(left.y - right.y)) >= (left.size + right.size) / 2 - 0.01


def test_numbers_names_and_styles_of_each_kind():
    for scene in scenes("single"):
        assert len(scene.things) == 1
    for scene in scenes("pair"):
        assert len(scene.names) == len(scene.things) == 2
        assert {thing.drawing.split("/")[1] for thing in scene.things} == {scene.style}
    for scene in scenes("several"):
        assert len(scene.things) in (2, 3)
        assert len({thing.drawing for thing in scene.things}) == 1
        assert not is_plural(scene.names[0])
    mixed = draw_scene([ROWS[0], ROWS[3]], np.random.default_rng(1), "pair")  # dog/noto, octopus/flat
    assert set(mixed.names) == {"dog", "octopus"}


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_shows_each_thing_at_its_position(kind):
    for scene in scenes(kind, 20):
        pixels = np.asarray(render_scene(scene, PICTURES, 64))
        assert pixels.shape == (64, 64, 3)
        assert tuple(pixels[0, 0]) == BACKGROUNDS[scene.background]
        for thing in scene.things:
            assert tuple(pixels[round(thing.y * 64), round(thing.x * 64)]) == COLOURS[thing.drawing][:3]
        covered = (pixels != BACKGROUNDS[scene.background]).any(-1).mean()
        assert covered == pytest.approx(sum(thing.size**2 for thing in scene.things), abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_descriptions(kind):
    for scene in scenes(kind):
        name = scene.names[0]
        what = {
            "single": article(name),
            "pair": f"{article(name)} on the left and {article(scene.names[-1])} on the right",
            "several": f"{NUMBERS[len(scene.things)]} {plural(name)}",
        }[kind]
        assert describe(scene) == f"{what} on {article(scene.background)} background"


@pytest.mark.parametrize(
    ("name", "with_article", "many"),
    [
        ("dog", "a dog", "dogs"),
        ("octopus", "an octopus", "octopuses"),
        ("bus", "a bus", "buses"),
        ("mouse", "a mouse", "mice"),
        ("dress", "a dress", "dresses"),
        ("cherries", "cherries", "cherries"),
        ("jeans", "jeans", "jeans"),
    ],
)
def test_inflection(name, with_article, many):
    assert (article(name), plural(name)) == (with_article, many)
