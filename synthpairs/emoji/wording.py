"""Template captions of scenes in varied wordings: training text of the desk models, and the desk reference captions."""

import numpy as np

from synthpairs.emoji.scenes import NUMBERS, Scene, article, plural

_OPENINGS = ("", "", "a picture of ", "a drawing of ", "an image of ", "an emoji of ", "an illustration showing ")
_GROUNDS = (
    "{what} on {a_ground} background",
    "{what} on {ground}",
    "{what} against {a_ground} background",
    "{what} with {a_ground} background",
    "{what}, {ground} background",
    "{what}. The background is {ground}",
)
_PAIRS = (
    "{a} on the left and {b} on the right",
    "{a} to the left of {b}",
    "{b} to the right of {a}",
    "{a} next to {b}",
    "{a} and {b}",
)


def random_caption(scene: Scene, rng: np.random.Generator, keywords: dict[str, list[str]]) -> str:
    """A random caption of the scene. All of it is true of the image, but it may leave things out.

    `keywords` maps concept names to related words, one of which follows the name in a fifth of the single-object captions.
    A tenth of the captions name the style if all objects share one, and a tenth leave out the background.
    """
    names = [thing.name for thing in scene.things]
    if scene.kind == "pair":
        what = _PAIRS[rng.integers(len(_PAIRS))].format(a=article(names[0]), b=article(names[1]))
    elif scene.kind == "several":
        what = f"{NUMBERS[len(names)]} {plural(names[0])}"
    else:
        what = article(names[0])
        related = keywords.get(names[0], [])
        if related and rng.random() < 0.2:
            what += f", {related[rng.integers(len(related))]}"
    what = _OPENINGS[rng.integers(len(_OPENINGS))] + what
    styles = {thing.drawing.rpartition("/")[2] for thing in scene.things}
    if rng.random() < 0.1 and len(styles) == 1:
        what += f" in {scene.style} style"
    if rng.random() < 0.1:
        return what
    ground = scene.background
    return _GROUNDS[rng.integers(len(_GROUNDS))].format(what=what, ground=ground, a_ground=article(ground))
