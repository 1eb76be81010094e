"""Pool of training scenes: drawn and rendered once from training drawings, captioned anew each time one is sampled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from synthpairs.core.determinism import best_device
from synthpairs.emoji.drawings import picture
from synthpairs.emoji.scenes import KINDS, Scene, draw_kind, draw_scene, render_scene
from synthpairs.emoji.wording import random_caption

SIDE = 64  # pixels of an image of the desk models


@dataclass(frozen=True, slots=True)
class Pool:
    """Scenes and their images, `pictures` uint8 [scene, 3, SIDE, SIDE]."""

    scenes: list[Scene]
    pictures: Tensor
    keywords: dict[str, list[str]]  # of each concept, for `random_caption`

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, list[str], list[Scene]]:
        """Indices of random scenes, their new captions, and the scenes."""
        indices = rng.integers(len(self.scenes), size=size)
        scenes = [self.scenes[index] for index in indices]
        return torch.from_numpy(indices), [random_caption(scene, rng, self.keywords) for scene in scenes], scenes

    def pixels(self, indices: Tensor) -> Tensor:
        """Images as float in [-1, 1] on the best device."""
        return self.pictures[indices].to(best_device()).float().div_(127.5).sub_(1)


def compose(rows: Sequence[dict], seed: int, count: int, kinds: Mapping[str, float]) -> Pool:
    """A pool of `count` scenes from `rows` of the drawings table, deterministic in the seed."""
    scenes = draw_scenes(rows, seed, count, kinds)
    return Pool(scenes, render_scenes(scenes, rows), keywords_of(rows))


def draw_scenes(rows: Sequence[dict], seed: int, count: int, kinds: Mapping[str, float]) -> list[Scene]:
    """`count` scenes of training drawings; a larger count extends the list. `kinds`: shares of KINDS, relative to their sum."""
    assert all(row["split"] == "train" for row in rows)
    if set(kinds) - set(KINDS) or not sum(kinds.values()):
        raise ValueError(
            f"params.yaml: encode_real_pairs.kinds must give shares of {', '.join(KINDS)}, not all 0; got {dict(kinds)}"
        )
    rng = np.random.default_rng([seed, 1])
    return [draw_scene(rows, rng, draw_kind(rng, kinds)) for _ in range(count)]


def render_scenes(scenes: Sequence[Scene], rows: Sequence[dict]) -> Tensor:
    """Images of scenes, uint8 [scene, 3, SIDE, SIDE]; `rows` contains their drawings."""
    shown = {thing.drawing for scene in scenes for thing in scene.things}
    images = {row["drawing"]: picture(row["png"]) for row in rows if row["drawing"] in shown}
    pictures = torch.empty(len(scenes), 3, SIDE, SIDE, dtype=torch.uint8)
    for index, scene in enumerate(scenes):
        pictures[index] = torch.from_numpy(np.array(render_scene(scene, images, SIDE))).permute(2, 0, 1)
    return pictures


def keywords_of(rows: Sequence[dict]) -> dict[str, list[str]]:
    """Keywords by concept name, for `random_caption`."""
    return {row["name"]: list(row["keywords"]) for row in rows}
