"""The pool of training scenes: drawn once from training drawings, worded anew each time one is used.

Scenes are cheap and their pictures are not (36,000 take a minute), so both can be had apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthpairs.core.determinism import best_device
from synthpairs.emoji.drawings import picture
from synthpairs.emoji.scenes import KINDS, Scene, draw_scene, render_scene
from synthpairs.emoji.wording import word_scene

SIDE = 64  # pixels of a desk picture


@dataclass(frozen=True, slots=True)
class Pool:
    """Scenes and their pictures, `pictures` uint8 [scene, 3, SIDE, SIDE]."""

    scenes: list[Scene]
    pictures: Tensor
    keywords: dict[str, list[str]]

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, list[str], list[Scene]]:
        """Random scenes: their numbers, fresh captions and descriptions."""
        chosen = rng.integers(len(self.scenes), size=size)
        scenes = [self.scenes[number] for number in chosen]
        return torch.from_numpy(chosen), [word_scene(scene, rng, self.keywords) for scene in scenes], scenes

    def pixels(self, numbers: Tensor) -> Tensor:
        """Pictures as float in [-1, 1]."""
        return self.pictures[numbers].to(best_device()).float().div_(127.5).sub_(1)


def compose(rows: Sequence[dict], seed: int, count: int, kinds: Mapping[str, float]) -> Pool:
    """Draw and render `count` scenes of `rows`, as `of_split` gives them; the same seed gives the same pool."""
    scenes = draw_scenes(rows, seed, count, kinds)
    return Pool(scenes, render_scenes(scenes, rows), keywords_of(rows))


def draw_scenes(rows: Sequence[dict], seed: int, count: int, kinds: Mapping[str, float]) -> list[Scene]:
    """`count` scenes of training drawings; `kinds` are shares of scenes.KINDS, relative to their sum.

    The first scenes of a longer list are the same. ValueError for a kind that is none, or shares of nothing.
    """
    assert all(row["split"] == "train" for row in rows)
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown or not sum(kinds.values()):
        raise ValueError(
            f"params.yaml: pairs.kinds must give shares of {', '.join(KINDS)}, not all 0; got {dict(kinds)}"
        )
    rng = np.random.default_rng([seed, 1])
    shares = np.array([kinds.get(kind, 0.0) for kind in KINDS])
    return [draw_scene(rows, rng, KINDS[rng.choice(len(KINDS), p=shares / shares.sum())]) for _ in range(count)]


def render_scenes(scenes: Sequence[Scene], rows: Sequence[dict]) -> Tensor:
    """Pictures of scenes, uint8 [scene, 3, SIDE, SIDE]; `rows` holds their drawings."""
    shown = {thing.drawing for scene in scenes for thing in scene.things}
    images = {row["drawing"]: picture(row["png"]) for row in rows if row["drawing"] in shown}
    pictures = torch.empty(len(scenes), 3, SIDE, SIDE, dtype=torch.uint8)
    for number, scene in enumerate(scenes):
        pictures[number] = torch.from_numpy(np.array(render_scene(scene, images, SIDE))).permute(2, 0, 1)
    return pictures


def keywords_of(rows: Sequence[dict]) -> dict[str, list[str]]:
    """What people also call each concept, as `word_scene` takes it."""
    return {row["name"]: list(row["keywords"]) for row in rows}
