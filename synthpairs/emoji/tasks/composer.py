"""Composition of scenes by concept, number and background, from the drawings of a single split."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import pandas as pd

from synthpairs.emoji.drawings import drawings_of_split, picture
from synthpairs.emoji.scenes import BACKGROUNDS, Scene, draw_scene, is_plural, render_png

T = TypeVar("T")
TRIES = 10_000  # attempts at a scene whose image is new


def choose(rng: np.random.Generator, values: Sequence[T]) -> T:
    """One of the values, uniformly."""
    return values[int(rng.integers(len(values)))]


def shuffled(rng: np.random.Generator, values: Sequence[T]) -> list[T]:
    """The values in random order."""
    return [values[index] for index in rng.permutation(len(values))]


def evenly(rng: np.random.Generator, values: Sequence[T], count: int) -> list[T]:
    """`count` values in random order; the frequencies of the values differ by at most one."""
    passes = -(-count // len(values))
    return shuffled(rng, [value for _ in range(passes) for value in shuffled(rng, values)][:count])


class SceneComposer:
    """Composes scenes of one split's drawings; no two of their images are equal.

    `names` are all concepts, `countable` those with a plural, `kinds` maps each concept to its kind.
    """

    def __init__(self, drawings: pd.DataFrame, split: str, concepts: list[str], side: int) -> None:
        self._rows: dict[str, list[dict]] = {}
        for row in drawings_of_split(drawings, split, concepts):
            self._rows.setdefault(row["name"], []).append(row)
        if missing := sorted(set(concepts) - set(self._rows)):
            raise ValueError(f"params.yaml: world.concepts: no drawing of split {split} shows {', '.join(missing)}")
        self._side = side
        self._pngs: dict[Scene, bytes] = {}
        self._used: set[bytes] = set()
        self._pictures = {row["drawing"]: picture(row["png"]) for rows in self._rows.values() for row in rows}
        self.names = sorted(self._rows)
        self.countable = [name for name in self.names if not is_plural(name)]
        self.kinds = {name: str(rows[0]["kind"]) for name, rows in self._rows.items()}

    def compose(
        self, rng: np.random.Generator, kind: str, *names: str, background: str | None = None, count: int | None = None
    ) -> Scene:
        """A new scene of the given kind (`pair` takes two names), with a random background and count unless given.

        ValueError when no new image was found.
        """
        assert background is None or background in BACKGROUNDS
        rows = self._drawings(rng, *names)
        for _ in range(TRIES):
            scene = draw_scene(rows, rng, kind)
            if background in (None, scene.background) and count in (None, len(scene.things)):
                png = render_png(scene, self._pictures, self._side)
                if png not in self._used:
                    self._used.add(png)
                    self._pngs[scene] = png
                    return scene
        raise ValueError(
            f"params.yaml: tasks: {self._side} pixels hold too few different pictures of {' and '.join(names)}; "
            "raise tasks.image_size or ask for fewer items"
        )

    def any_scene(self, rng: np.random.Generator, name: str) -> Scene:
        """A new scene with the concept: a single in half of the cases, else a pair or several."""
        kind, names = self._any_kind(rng, name)
        return self.compose(rng, kind, *names)

    def sketch(self, rng: np.random.Generator, name: str) -> Scene:
        """A scene with the distribution of `any_scene`, but not rendered, so it may repeat an earlier one."""
        kind, names = self._any_kind(rng, name)
        return draw_scene(self._drawings(rng, *names), rng, kind)

    def _any_kind(self, rng: np.random.Generator, name: str) -> tuple[str, list[str]]:
        kind = choose(rng, ("single", "single", "pair", "several" if name in self.countable else "pair"))
        return kind, [name, self.other(rng, name)] if kind == "pair" else [name]

    def _drawings(self, rng: np.random.Generator, name: str, second: str | None = None) -> list[dict]:
        """A random drawing of each concept, the second in the style of the first where possible."""
        rows = [choose(rng, self._rows[name])]
        if second is not None:
            others = self._rows[second]
            rows.append(choose(rng, [row for row in others if row["style"] == rows[0]["style"]] or others))
        return rows

    def other(self, rng: np.random.Generator, name: str) -> str:
        """A random other concept."""
        return choose(rng, [other for other in self.names if other != name])

    def png(self, scene: Scene) -> bytes:
        """The encoded image of a scene that `compose` has returned."""
        return self._pngs[scene]
