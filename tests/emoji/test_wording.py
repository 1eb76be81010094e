"""Template captions vary and may leave things out, but state nothing that is not in the image."""

import re

import numpy as np
import pytest

from synthpairs.emoji.scenes import BACKGROUNDS, KINDS, NUMBERS, draw_scene, plural
from synthpairs.emoji.wording import random_caption

NAMES = ("dog", "octopus", "cherries")
ROWS = [{"drawing": f"{name}/{style}", "name": name, "style": style} for name in NAMES for style in ("noto", "flat")]


def captions(kind, rows=ROWS):
    rng = np.random.default_rng(3)
    for _ in range(600):
        scene = draw_scene(rows, rng, kind)
        yield scene, random_caption(scene, rng, {"dog": ["pet"], "octopus": []})


@pytest.mark.parametrize("kind", KINDS)
def test_names_background_style_and_number_are_those_of_the_scene(kind):
    without_background = styled = 0
    for scene, text in captions(kind):
        words = set(re.findall(r"\w+", text))
        names = {plural(name) if kind == "several" else name for name in scene.names}
        assert {*NAMES, *map(plural, NAMES)} & words == names, text
        assert set(BACKGROUNDS) & words <= {scene.background}, text
        assert {"noto", "flat"} & words <= {scene.style}, text
        assert set(NUMBERS.values()) & words == ({NUMBERS[len(scene.things)]} if kind == "several" else set())
        without_background += scene.background not in words
        styled += scene.style in words
    assert without_background / 600 == pytest.approx(0.1, abs=0.04)
    assert styled / 600 == pytest.approx(0.1, abs=0.04)


def test_left_and_right_are_never_swapped():
    sides = 0
    for scene, text in captions("pair"):
        left, right = map(text.index, scene.names)
        if "left of" in text or "on the left" in text:
            assert left < right, text
            sides += 1
        elif "right of" in text:
            assert right < left, text
            sides += 1
    assert sides > 300


def test_a_style_is_named_only_if_all_things_share_it():
    rows = [ROWS[0], ROWS[3]]  # dog/noto, octopus/flat
    assert not any("style" in text for _, text in captions("pair", rows))
