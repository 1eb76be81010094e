"""How good the desk models are, on drawings that no training saw; run as `python -m pretrain.measure`.

CLIP: text-to-image recall over all trained concepts. Generator: how often an independent referee, a linear probe on
ImageNet features of real training drawings, names the concept that a generated picture was asked to show.
"""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pandas as pd
import timm
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from pretrain.pool import SIDE, load_drawings, params, trained_concepts
from synthpairs.artwork.drawings import of_split, picture
from synthpairs.artwork.scenes import BACKGROUNDS, Scene, Thing, article, draw_scene, render_scene
from synthpairs.inference import best_device
from synthpairs.packages import pinned

METRICS = Path("pretrain/metrics.json")
GRID = Path("pretrain/samples.png")


def alone(row: dict, background: str) -> Image.Image:
    """One drawing, centred on a plain background."""
    thing = Thing(drawing=row["drawing"], name=row["name"], x=0.5, y=0.5, size=0.84)
    scene = Scene(kind="single", background=background, style=row["style"], things=(thing,))
    return render_scene(scene, {row["drawing"]: picture(row["png"])}, SIDE)


@torch.no_grad()
def clip_recall(drawings: pd.DataFrame, split: str) -> dict[str, float]:
    """Recall@1 and @5: each concept's text against one held-out drawing of every concept, on white."""
    model, _, preprocess = open_clip.create_model_and_transforms("local-dir:data/pretrain/clip")
    model.eval()
    tokenizer = open_clip.get_tokenizer("local-dir:data/pretrain/clip")
    rows = {row["name"]: row for row in of_split(drawings, split, trained_concepts())}
    names = sorted(rows)
    images = torch.stack([preprocess(alone(rows[name], "white")) for name in names])
    texts = tokenizer([f"a picture of {article(name)} on a white background" for name in names])
    similarity = model.encode_text(texts, normalize=True) @ model.encode_image(images, normalize=True).T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(dim=1)
    return {"n": len(names), "recall_at_1": _share(ranks < 1), "recall_at_5": _share(ranks < 5)}


class Referee:
    """Names the concept in a picture; trained on real training drawings only, and never on anything of ours."""

    def __init__(self, drawings: pd.DataFrame, side: int, views: int, seed: int) -> None:
        self.side = side
        self.features = _imagenet_features()
        rng = np.random.default_rng([seed, 7])
        rows = list(of_split(drawings, "train", trained_concepts()))
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
        """Share of pictures whose asked-for name is the probe's first, and among its first five."""
        scores = torch.from_numpy(self.probe.decision_function(self.embed(pictures)))
        classes = list(self.probe.classes_)
        asked = torch.tensor([classes.index(name) for name in names])
        ranks = (scores > scores.gather(1, asked[:, None])).sum(dim=1)
        return {"n": len(names), "top_1": _share(ranks < 1), "top_5": _share(ranks < 5)}


def _imagenet_features() -> torch.nn.Module:
    """EfficientNet-Lite0 without its classifier. The package's layer names differ from timm's, their order does not."""
    package = next(package for package in pinned("models") if package.package.startswith("efficientnet-lite0"))
    theirs = torch.load(io.BytesIO(package.read(".pth")), weights_only=True)
    values = [value for name, value in theirs.items() if not name.endswith("num_batches_tracked")]
    model = timm.create_model("tf_efficientnet_lite0")
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    model.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    model.reset_classifier(0)
    return model.eval().to(best_device())


def generate(samples: int, steps: int, guidance: float, seed: int) -> tuple[list[Image.Image], list[str]]:
    """Pictures of every trained concept on random backgrounds, and the concepts' names."""
    pipeline = StableDiffusionXLPipeline.from_pretrained("data/pretrain/generator", torch_dtype=torch.float32).to(
        best_device()
    )
    pipeline.set_progress_bar_config(disable=True)
    rng = np.random.default_rng([seed, 9])
    names = [name for name in trained_concepts() for _ in range(samples)]
    grounds = [list(BACKGROUNDS)[number] for number in rng.integers(len(BACKGROUNDS), size=len(names))]
    prompts = [f"{article(name)} on {article(ground)} background" for name, ground in zip(names, grounds, strict=True)]
    pictures: list[Image.Image] = []
    for start in range(0, len(prompts), 32):
        noises = [torch.Generator().manual_seed(seed + start + row) for row in range(len(prompts[start : start + 32]))]
        pictures += pipeline(prompts[start : start + 32], num_inference_steps=steps, guidance_scale=guidance,
                             generator=noises).images  # fmt: skip
    return pictures, names


def grid(pictures: list[Image.Image], samples: int) -> Image.Image:
    """A contact sheet: concepts in reading order, one sample each, sixteen a row and all samples in blocks below."""
    columns = 16
    per_block = len(pictures) // samples
    rows = -(-per_block // columns)
    sheet = Image.new("RGB", (columns * SIDE, rows * SIDE * samples), "white")
    for number, image in enumerate(pictures):
        concept, sample = divmod(number, samples)
        sheet.paste(image, (concept % columns * SIDE, (sample * rows + concept // columns) * SIDE))
    return sheet


def _share(hits: Tensor) -> float:
    return round(hits.float().mean().item(), 4)


def main() -> None:
    """Measure both models; write pretrain/metrics.json and the sample grid."""
    spec, seed, drawings = params("referee"), params()["seed"], load_drawings()
    metrics: dict[str, Any] = {
        "clip": {split: clip_recall(drawings, split) for split in ("heldout_combination", "heldout_style")},
    }
    referee = Referee(drawings, spec["input"], spec["views"], seed)
    held_out = list(of_split(drawings, "heldout_combination", trained_concepts()))
    metrics["referee_on_real"] = referee.judge(
        [alone(row, "white") for row in held_out], [row["name"] for row in held_out]
    )
    pictures, names = generate(spec["samples"], spec["steps"], spec["guidance"], seed)
    metrics["generator"] = referee.judge(pictures, names)
    grid(pictures, spec["samples"]).save(GRID)
    METRICS.write_text(json.dumps(metrics, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
