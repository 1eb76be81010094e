"""The pool of training scenes: composed once from training drawings, worded anew each time one is used."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from ruamel.yaml import YAML
from torch import Tensor

from synthpairs.artwork.drawings import of_split, picture
from synthpairs.artwork.scenes import KINDS, Scene, draw_scene, render_scene
from synthpairs.artwork.wording import word_scene
from synthpairs.inference import best_device

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


def params(section: str | None = None) -> dict:
    """This pipeline's parameters, or one section of them."""
    values = YAML(typ="safe").load(Path("pretrain/params.yaml"))
    return values[section] if section else values


def trained_concepts() -> list[str]:
    """The concepts of the desk world, from the main params.yaml."""
    return list(YAML(typ="safe").load(Path("params.yaml"))["world"]["concepts"])


def load_drawings() -> pd.DataFrame:
    """The artwork stage's table."""
    return pd.read_parquet("data/art/drawings.parquet")


def compose(seed: int, count: int, kinds: dict[str, float]) -> Pool:
    """Compose the pool from training drawings of the trained concepts; the same seed gives the same pool."""
    rows = list(of_split(load_drawings(), "train", trained_concepts()))
    assert all(row["split"] == "train" for row in rows)
    images = {row["drawing"]: picture(row["png"]) for row in rows}
    rng = np.random.default_rng([seed, 1])
    shares = np.array([kinds[kind] for kind in KINDS])
    scenes = [draw_scene(rows, rng, KINDS[rng.choice(len(KINDS), p=shares / shares.sum())]) for _ in range(count)]
    pictures = torch.empty(count, 3, SIDE, SIDE, dtype=torch.uint8)
    for number, scene in enumerate(scenes):
        pictures[number] = torch.from_numpy(np.array(render_scene(scene, images, SIDE))).permute(2, 0, 1)
    return Pool(scenes, pictures, {row["name"]: list(row["keywords"]) for row in rows})
