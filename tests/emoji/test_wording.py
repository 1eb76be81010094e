"""Captions vary and may leave things out, but say nothing that is not in the picture."""

import re

import numpy as np
import pytest

from synthpairs.emoji.scenes import BACKGROUNDS, KINDS, NUMBERS, draw_scene, plural
from synthpairs.emoji.wording import word_scene

NAMES = ("dog", "octopus", "cherries")
ROWS = [{"drawing": f"{name}/{style}", "name": name, "style": style} for name in NAMES for style in ("noto", "flat")]
KEYWORDS = {"dog": ["pet"], "octopus": []}


def captions(kind, count=600):
    rng = np.random.default_rng(3)
    for _ in range(count):
        scene = draw_scene(ROWS, rng, kind)
        yield scene, word_scene(scene, rng, KEYWORDS)


def words(text):
    return re.findall(r"\w+", text)


@pytest.mark.parametrize("kind", KINDS)
def test_every_thing_is_named_and_no_other(kind):
    for scene, text in captions(kind):
        shown = {plural(name) if kind == "several" else name for name in scene.names}
        assert shown <= set(words(text)), text
        assert not ({*NAMES, *map(plural, NAMES)} - shown) & set(words(text)), text


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_right_background_style_and_number_are_named(kind):
    left_out, styled = 0, 0
    for scene, text in captions(kind):
        grounds = set(BACKGROUNDS) & set(words(text))
        assert grounds <= {scene.background}, text
        left_out += not grounds
        styles = {"noto", "flat"} & set(words(text))
        assert styles <= {scene.style}, text
        styled += bool(styles)
        number = {NUMBERS[len(scene.things)]} if kind == "several" else set()
        assert set(NUMBERS.values()) & set(words(text)) == number
    assert left_out / 600 == pytest.approx(0.1, abs=0.04)
    assert styled / 600 == pytest.approx(0.1, abs=0.04)


def test_left_and_right_are_never_swapped():
    sides = 0
    for scene, text in captions("pair"):
        left, right = scene.names
        if "left of" in text or "on the left" in text:
            assert text.index(left) < text.index(right), text
            sides += 1
        elif "right of" in text:
            assert text.index(right) < text.index(left), text
            sides += 1
    assert sides > 300


def test_a_style_is_named_only_where_all_things_share_it():
    rows = [ROWS[0], ROWS[3]]  # dog/noto, octopus/flat
    for seed in range(200):
        rng = np.random.default_rng(seed)
        scene = draw_scene(rows, rng, "pair")
        assert "style" not in word_scene(scene, rng, {})
