"""Scenes: one to three drawings on a coloured background, with complete ground truth.

A scene is drawn from a random generator and can be rendered at any size.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from synthpairs.emoji.inflection import inflector

# Pale enough that a drawing of the same hue stays visible, different enough to be named unambiguously.
BACKGROUNDS = {
    "white": (255, 255, 255),
    "black": (40, 40, 44),
    "red": (229, 115, 115),
    "orange": (255, 183, 77),
    "yellow": (255, 241, 118),
    "green": (129, 199, 132),
    "blue": (100, 181, 246),
    "purple": (186, 104, 200),
}
NUMBERS = {1: "one", 2: "two", 3: "three"}
KINDS = ("single", "pair", "several")  # one large drawing; two different ones side by side; two or three of the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """One drawing in a scene; `x`, `y` are its centre and `size` its side, as shares of the image side."""

    drawing: str
    name: str
    x: float
    y: float
    size: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Content of an image: `kind` is one of KINDS, `background` a key of BACKGROUNDS, `things` are ordered left to right."""

    kind: str
    background: str
    style: str
    things: tuple[Thing, ...]

    @property
    def names(self) -> list[str]:
        """Distinct concept names, left to right."""
        return list(dict.fromkeys(thing.name for thing in self.things))


def draw_kind(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    """A random scene kind; `shares` of KINDS are relative to their sum."""
    weights = np.array([shares.get(kind, 0.0) for kind in KINDS])
    return KINDS[rng.choice(len(KINDS), p=weights / weights.sum())]


def draw_scene(drawings: Sequence[dict], rng: np.random.Generator, kind: str) -> Scene:
    """A random scene of the given kind from rows of the drawings table; a pair shares one style where possible."""
    if kind == "several":  # plural names such as "grapes" cannot be counted
        drawings = [row for row in drawings if not is_plural(row["name"])]
    first = drawings[int(rng.integers(len(drawings)))]
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]

    def jitter() -> float:
        return float(rng.uniform(-0.03, 0.03))

    if kind == "single":
        size = float(rng.uniform(0.72, 0.9))
        things = [_thing(first, 0.5 + jitter(), 0.5 + jitter(), size)]
    elif kind == "pair":
        others = [row for row in drawings if row["name"] != first["name"]]
        same_style = [row for row in others if row["style"] == first["style"]]
        second = (same_style or others)[rng.integers(len(same_style or others))]
        size = float(rng.uniform(0.42, 0.48))
        things = [_thing(first, 0.26, 0.5 + jitter(), size), _thing(second, 0.74, 0.5 + jitter(), size)]
    elif kind == "several":
        count = int(rng.integers(2, 4))
        size = 0.46 if count == 2 else 0.38
        centres = [(0.26, 0.5), (0.74, 0.5)] if count == 2 else [(0.24, 0.7), (0.5, 0.27), (0.76, 0.7)]
        things = [_thing(first, x + jitter() / 2, y + jitter() / 2, size) for x, y in centres]
    else:
        raise ValueError(f"scene kind must be one of {KINDS}, got {kind!r}")
    return Scene(kind=kind, background=background, style=first["style"], things=tuple(things))


def _thing(row: dict, x: float, y: float, size: float) -> Thing:
    return Thing(drawing=row["drawing"], name=row["name"], x=x, y=y, size=size)


def render_scene(scene: Scene, pictures: dict[str, Image.Image], side: int) -> Image.Image:
    """The scene as an RGB image of `side` x `side` pixels; `pictures` maps drawing ids to RGBA images."""
    canvas = Image.new("RGB", (side, side), BACKGROUNDS[scene.background])
    for thing in scene.things:
        pixels = max(1, round(thing.size * side))
        sprite = pictures[thing.drawing].resize((pixels, pixels), Image.Resampling.LANCZOS)
        canvas.paste(sprite, (round(thing.x * side - pixels / 2), round(thing.y * side - pixels / 2)), sprite)
    return canvas


def render_png(scene: Scene, pictures: dict[str, Image.Image], side: int) -> bytes:
    """`render_scene`, PNG-encoded."""
    png = io.BytesIO()
    render_scene(scene, pictures, side).save(png, "PNG")
    return png.getvalue()


@cache
def article(name: str) -> str:
    """`name` with its indefinite article; plural names (`cherries`, `jeans`) are returned unchanged."""
    return name if is_plural(name) else str(inflector().a(name))


@cache
def is_plural(name: str) -> bool:
    """Whether the name is a plural noun."""
    return inflector().singular_noun(name) is not False and not name.endswith("us")


@cache
def plural(name: str) -> str:
    """The plural of a name; plural names are returned unchanged."""
    return name if is_plural(name) else str(inflector().plural(name))


def describe(scene: Scene) -> str:
    """The plain caption of a scene: objects, number, positions and background."""
    first = scene.things[0].name
    if scene.kind == "several":
        what = f"{NUMBERS[len(scene.things)]} {plural(first)}"
    elif scene.kind == "pair":
        what = f"{article(first)} on the left and {article(scene.things[1].name)} on the right"
    else:
        what = article(first)
    return f"{what} on {article(scene.background)} background"
