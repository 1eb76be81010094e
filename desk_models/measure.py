"""Evaluation of the desk models; run as `python -m desk_models.measure [PART ...]`, without a part for all of them.

`clip`, `second_clip`: text-to-image recall over all trained concepts, on held-out drawings. `generator`, `masked`: how often
the referee names the concept of a generated picture's caption. `masked` also: reconstruction by its tokenizer.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pandas as pd
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image

from desk_models.pool import CLIPS, chosen, load_drawings, params, trained_concepts, training_rows
from desk_models.referee import Referee, alone, share
from desk_models.tokenizer import evaluate
from synthpairs.core.config import load_params
from synthpairs.core.determinism import best_device
from synthpairs.core.schema import digest
from synthpairs.core.storage import write_json
from synthpairs.emoji.drawings import drawings_of_split
from synthpairs.emoji.pool import SIDE, Pool, draw_scenes, keywords_of, render_scenes
from synthpairs.emoji.scenes import BACKGROUNDS, article
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.generation.vq_pairs.params import RealPairs
from synthpairs.models.vq_tokenizer import load_tokenizer

PARTS = (*CLIPS, "generator", "masked")
METRICS = Path("desk_models/metrics.json")
GRIDS = {"generator": Path("desk_models/samples.png"), "masked": Path("desk_models/masked_samples.png")}
MASKED = Path("desk_models/trained/masked")
RECONSTRUCTED = 512  # scenes whose pictures the tokenizer reconstructs


@torch.no_grad()
def clip_recall(name: str, drawings: pd.DataFrame, split: str) -> dict[str, float]:
    """Recall@1 and @5 of one of CLIPS: each concept's caption against one held-out drawing per concept, on white."""
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:desk_models/trained/{name}")
    model.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:desk_models/trained/{name}")
    rows = {row["name"]: row for row in drawings_of_split(drawings, split, trained_concepts())}
    names = sorted(rows)
    images = torch.stack([preprocess(alone(rows[name], "white")) for name in names])
    texts = tokenizer([f"a picture of {article(name)} on a white background" for name in names])
    similarity = model.encode_text(texts, normalize=True) @ model.encode_image(images, normalize=True).T
    ranks = (similarity > similarity.diagonal()[:, None]).sum(dim=1)
    return {"n": len(names), "recall_at_1": share(ranks < 1), "recall_at_5": share(ranks < 5)}


def prompts(samples: int, seed: int) -> tuple[list[str], list[str]]:
    """Every trained concept `samples` times, and a caption of each with a random background."""
    rng = np.random.default_rng([seed, 9])
    names = [name for name in trained_concepts() for _ in range(samples)]
    grounds = [list(BACKGROUNDS)[number] for number in rng.integers(len(BACKGROUNDS), size=len(names))]
    pairs = zip(names, grounds, strict=True)
    return names, [f"{article(name)} on {article(ground)} background" for name, ground in pairs]


def diffused(captions: Sequence[str], steps: int, guidance: float, seed: int) -> list[Image.Image]:
    """The diffusion generator's pictures of captions."""
    folder = "desk_models/trained/generator"
    pipeline = StableDiffusionXLPipeline.from_pretrained(folder, torch_dtype=torch.float32).to(best_device())
    pipeline.set_progress_bar_config(disable=True)
    pictures: list[Image.Image] = []
    for start in range(0, len(captions), 32):
        batch = list(captions[start : start + 32])
        noises = [torch.Generator().manual_seed(seed + start + row) for row in range(len(batch))]
        pictures += pipeline(batch, num_inference_steps=steps, guidance_scale=guidance, generator=noises).images
    return pictures


def decoded(captions: Sequence[str], seed: int) -> list[Image.Image]:
    """The masked generator's pictures of captions, with the settings of section `generate_tokens` of params.yaml."""
    spec = replace(load_params(GenerateTokens, "generate_tokens"), generator=str(MASKED))
    generator = MaskedGenerator(spec)
    keys = [digest("measure", seed, number) for number in range(len(captions))]
    pictures: list[Image.Image] = []
    for start in range(0, len(captions), spec.batch_size):
        batch = slice(start, start + spec.batch_size)
        tokens, _ = generator.decode(keys[batch], captions[batch])
        pixels = (generator.pictures(tokens) * 255).round().astype(np.uint8)
        pictures += [Image.fromarray(picture) for picture in pixels]
    return pictures


def reconstruction() -> dict[str, float]:
    """PSNR in dB and share of used tokens of the masked generator's tokenizer, over the last scenes of the pair list."""
    pairs, rows = load_params(RealPairs, "encode_real_pairs"), training_rows()
    scenes = draw_scenes(rows, pairs.seed, pairs.scenes, pairs.kinds)[-RECONSTRUCTED:]
    pool = Pool(scenes, render_scenes(scenes, rows), keywords_of(rows))
    return evaluate(load_tokenizer(MASKED, "the masked generator").to(best_device()), pool, count=len(scenes))


def grid(pictures: list[Image.Image], samples: int) -> Image.Image:
    """Contact sheet of one block per sample: concepts in reading order, sixteen a row."""
    columns = 16
    per_block = len(pictures) // samples
    rows = -(-per_block // columns)
    sheet = Image.new("RGB", (columns * SIDE, rows * SIDE * samples), "white")
    for number, image in enumerate(pictures):
        concept, sample = divmod(number, samples)
        sheet.paste(image, (concept % columns * SIDE, (sample * rows + concept // columns) * SIDE))
    return sheet


def main(parts: Sequence[str]) -> None:
    """Evaluate the named parts, or all; updates their entries of desk_models/metrics.json and their sample grids."""
    parts = chosen("measure", parts, PARTS)
    spec, seed, drawings = params("referee"), params()["seed"], load_drawings()
    metrics: dict[str, Any] = json.loads(METRICS.read_text()) if METRICS.exists() else {}
    splits = ("heldout_combination", "heldout_style")
    for part in (part for part in parts if part in CLIPS):
        metrics[part] = {split: clip_recall(part, drawings, split) for split in splits}
    generators: dict[str, Callable[[Sequence[str]], list[Image.Image]]] = {
        "generator": partial(diffused, steps=spec["steps"], guidance=spec["guidance"], seed=seed),
        "masked": partial(decoded, seed=seed),
    }
    if judged := [part for part in parts if part in generators]:
        referee = Referee(drawings, spec["input"], spec["views"], seed)
        held_out = list(drawings_of_split(drawings, "heldout_combination", trained_concepts()))
        real = [alone(row, "white") for row in held_out]
        metrics["referee_on_real"] = referee.judge(real, [row["name"] for row in held_out])
        names, captions = prompts(spec["samples"], seed)
        for part in judged:
            pictures = generators[part](captions)
            metrics[part] = referee.judge(pictures, names)
            grid(pictures, spec["samples"]).save(GRIDS[part])
    if "masked" in parts:
        metrics["masked"] |= reconstruction()
    write_json(METRICS, metrics)


if __name__ == "__main__":
    main(sys.argv[1:])
