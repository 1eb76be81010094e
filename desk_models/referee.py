"""Referee of generated pictures: a linear probe on ImageNet features of real training drawings."""

import io

import numpy as np
import pandas as pd
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from desk_models.pool import trained_concepts
from synthpairs.core.assets import pinned
from synthpairs.core.determinism import best_device
from synthpairs.emoji.drawings import drawings_of_split, picture
from synthpairs.emoji.pool import SIDE
from synthpairs.emoji.scenes import Scene, Thing, draw_scene, render_scene


def alone(row: dict, background: str) -> Image.Image:
    """A picture of one drawing, centred on a plain background."""
    thing = Thing(drawing=row["drawing"], name=row["name"], x=0.5, y=0.5, size=0.84)
    scene = Scene(kind="single", background=background, style=row["style"], things=(thing,))
    return render_scene(scene, {row["drawing"]: picture(row["png"])}, SIDE)


class Referee:
    """Classifies pictures by concept; trained on real training drawings alone, and independent of the desk models."""

    def __init__(self, drawings: pd.DataFrame, side: int, views: int, seed: int) -> None:
        self.side = side
        self.features = imagenet_features()
        rng = np.random.default_rng([seed, 7])
        rows = list(drawings_of_split(drawings, "train", trained_concepts()))
        pictures, names = [], []
        for row in rows:
            image = {row["drawing"]: picture(row["png"])}
            for _ in range(views):
                pictures.append(render_scene(draw_scene([row], rng, "single"), image, SIDE))
                names.append(row["name"])
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=300))
        self.probe: Pipeline = probe.fit(self.embed(pictures), names)

    @torch.no_grad()
    def embed(self, pictures: list[Image.Image]) -> np.ndarray:
        """ImageNet features [n, 1280] of pictures enlarged to the referee's input."""
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        out = []
        for start in range(0, len(pictures), 64):
            batch = [image.convert("RGB").resize((self.side, self.side), Image.Resampling.BICUBIC)
                     for image in pictures[start : start + 64]]  # fmt: skip
            pixels = torch.from_numpy(np.stack([np.asarray(image) for image in batch])).float() / 255
            out.append(self.features(((pixels - mean) / std).permute(0, 3, 1, 2).to(best_device())).cpu().numpy())
        return np.concatenate(out)

    def judge(self, pictures: list[Image.Image], names: list[str]) -> dict[str, float]:
        """Top-1 and top-5 accuracy of the probe for the pictures' intended concepts."""
        scores = torch.from_numpy(self.probe.decision_function(self.embed(pictures)))
        classes = list(self.probe.classes_)
        intended = torch.tensor([classes.index(name) for name in names])
        ranks = (scores > scores.gather(1, intended[:, None])).sum(dim=1)
        return {"n": len(names), "top_1": share(ranks < 1), "top_5": share(ranks < 5)}


def imagenet_features() -> torch.nn.Module:
    """EfficientNet-Lite0 without its classifier. Layers of the package are named unlike timm's, in the same order."""
    package = next(package for package in pinned("models") if package.package.startswith("efficientnet-lite0"))
    theirs = torch.load(io.BytesIO(package.read(".pth")), weights_only=True)
    values = [value for name, value in theirs.items() if not name.endswith("num_batches_tracked")]
    model = timm.create_model("tf_efficientnet_lite0")
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    model.reset_classifier(0)
    return model.eval().to(best_device())


def share(hits: Tensor) -> float:
    """Share of true values, to four decimals."""
    return round(hits.float().mean().item(), 4)
