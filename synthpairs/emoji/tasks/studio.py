"""Scenes on demand: this concept, this many, on this background, from the drawings of one split and no other."""

import hashlib
import io
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.core.schema import digest
from synthpairs.emoji.drawings import of_split, picture
from synthpairs.emoji.scenes import BACKGROUNDS, Scene, draw_scene, is_plural, render_scene

T = TypeVar("T")
TRIES = 10_000  # to find a scene that was not shown before; thousands of rejections mean that there is none


def choose(rng: np.random.Generator, values: Sequence[T]) -> T:
    """One of the values, each as likely."""
    return values[int(rng.integers(len(values)))]


def shuffled(rng: np.random.Generator, values: Sequence[T]) -> list[T]:
    """The values in random order."""
    return [values[index] for index in rng.permutation(len(values))]


def evenly(rng: np.random.Generator, values: Sequence[T], count: int) -> list[T]:
    """`count` values in random order, each as often as any other, give or take one."""
    passes = -(-count // len(values))
    return shuffled(rng, [value for _ in range(passes) for value in shuffled(rng, values)][:count])


def picture_row(
    identity: Sequence[Any], columns: dict[str, Any], picture: bytes | None = None, scene: Scene | None = None
) -> dict[str, Any]:
    """A row of BENCHMARK or INSTRUCTIONS: columns, picture and its drawings, and a uid made of `identity` and the picture."""
    picture_hash = hashlib.sha256(picture).hexdigest() if picture else None
    drawings = sorted({thing.drawing for thing in scene.things}) if scene else []
    return {"uid": digest(*identity, picture_hash), **columns, "picture": picture, "drawings": drawings}


class Studio:
    """The drawings of one split, by name; composes scenes of them, no two of which look the same.

    `names` are all concepts, `countable` those with a plural, `kinds` maps each to its kind.
    """

    def __init__(self, drawings: pd.DataFrame, split: str, concepts: list[str], side: int) -> None:
        self._rows: dict[str, list[dict]] = {}
        for row in of_split(drawings, split, concepts):
            self._rows.setdefault(row["name"], []).append(row)
        missing = sorted(set(concepts) - set(self._rows))
        if missing:
            raise ValueError(f"params.yaml: world.concepts: no drawing of split {split} shows {', '.join(missing)}")
        self._side = side
        self._made: dict[Scene, bytes] = {}
        self._seen: set[bytes] = set()
        self._pictures = {row["drawing"]: picture(row["png"]) for rows in self._rows.values() for row in rows}
        self.names = sorted(self._rows)
        self.countable = [name for name in self.names if not is_plural(name)]
        self.kinds = {name: str(rows[0]["kind"]) for name, rows in self._rows.items()}

    def compose(
        self,
        rng: np.random.Generator,
        kind: str,
        *names: str,
        background: str | None = None,
        count: int | None = None,
    ) -> Scene:
        """A scene of the given kind (`pair` takes two names); a background or count that is not given is drawn.

        ValueError when no new picture is left.
        """
        assert background is None or background in BACKGROUNDS
        rows = self._drawings(rng, *names)
        for _ in range(TRIES):
            scene = draw_scene(rows, rng, kind)
            if background in (None, scene.background) and count in (None, len(scene.things)) and self._is_new(scene):
                return scene
        raise ValueError(
            f"params.yaml: tasks: {self._side} pixels hold too few different pictures of {' and '.join(names)}; "
            "raise tasks.side or ask less"
        )

    def _is_new(self, scene: Scene) -> bool:
        buffer = io.BytesIO()
        image: Image.Image = render_scene(scene, self._pictures, self._side)
        image.save(buffer, "PNG")
        png = buffer.getvalue()
        if png in self._seen:
            return False
        self._seen.add(png)
        self._made[scene] = png
        return True

    def any_scene(self, rng: np.random.Generator, name: str) -> Scene:
        """A new scene that shows the concept: half of them alone, the others beside another concept or several of it."""
        kind, names = self._any_kind(rng, name)
        return self.compose(rng, kind, *names)

    def sketch(self, rng: np.random.Generator, name: str) -> Scene:
        """A scene as `any_scene` would choose it, that nobody renders: it may be one that was shown before."""
        kind, names = self._any_kind(rng, name)
        return draw_scene(self._drawings(rng, *names), rng, kind)

    def _any_kind(self, rng: np.random.Generator, name: str) -> tuple[str, list[str]]:
        kind = choose(rng, ("single", "single", "pair", "several" if name in self.countable else "pair"))
        return kind, [name, self.other(rng, name)] if kind == "pair" else [name]

    def _drawings(self, rng: np.random.Generator, name: str, beside: str | None = None) -> list[dict]:
        """A drawing of each concept, the second in the first one's style where there is one."""
        rows = [choose(rng, self._rows[name])]
        if beside is not None:
            others = self._rows[beside]
            rows.append(choose(rng, [row for row in others if row["style"] == rows[0]["style"]] or others))
        return rows

    def other(self, rng: np.random.Generator, name: str) -> str:
        """Another concept."""
        return choose(rng, [other for other in self.names if other != name])

    def png(self, scene: Scene) -> bytes:
        """The picture of a scene that was composed here."""
        return self._made[scene]
