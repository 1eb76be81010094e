"""Training of a desk CLIP with open_clip; run as `python -m desk_models.clip NAME`, NAME being clip or second_clip.

Writes desk_models/trained/NAME: an open_clip directory (load with `local-dir:`) with its tokenizer. The second one has another
vision tower and seed, and shows how far scores depend on the CLIP model; nothing is selected by it.
"""

import gzip
import json
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTokenizer

from desk_models.loop import Schedule, autocast, train
from desk_models.pool import CLIPS, chosen, params, training_pool
from synthpairs.core.determinism import best_device
from synthpairs.emoji.pool import SIDE, Pool

OUT = Path("desk_models/trained")
HEAD = 32  # width of an attention head
MERGES = 8000  # of CLIP's 48,894 byte-pair merges; the commonest English words are single tokens
CONTEXT = 32


def write_tokenizer(out: Path) -> CLIPTokenizer:
    """Write CLIP's byte-pair tokenizer with its first MERGES merges; ids are in CLIP's order, end of text is the highest."""
    source = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(source.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    pairs = [tuple(merge.split()) for merge in merges]
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=pairs, model_max_length=CONTEXT)
    tokenizer.save_pretrained(out)
    return tokenizer


def config(vocabulary: int, side: int, patches: int, width: int) -> dict:
    """open_clip configuration: a 6-layer vision tower of `patches` x `patches` patches, a 3-layer text tower."""
    return {
        "embed_dim": width,
        "vision_cfg": {
            "image_size": side,
            "patch_size": side // patches,
            "width": width,
            "layers": 6,
            "head_width": HEAD,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": vocabulary,
            "width": width,
            "heads": width // HEAD,
            "layers": 3,
            "hf_tokenizer_name": "clip",  # open_clip then reads the tokenizer from this folder
            "tokenizer_kwargs": {"clean": "lower"},
        },
    }


def build(config: dict) -> open_clip.CLIP:
    """A randomly initialised model of a configuration."""
    text = {k: v for k, v in config["text_cfg"].items() if k not in ("hf_tokenizer_name", "tokenizer_kwargs")}
    return open_clip.CLIP(config["embed_dim"], config["vision_cfg"], text, init_logit_scale=math.log(1 / 0.07))


def augment(pixels: Tensor, flip: Tensor, side: int) -> Tensor:
    """Augmented views [n, 3, side, side] of pictures in [-1, 1]: mirrored where `flip`, shifted, recoloured, blurred.

    Generated pictures are blurred and off in colour; a tower trained on crisp ones alone could not score them.
    """
    count = len(pixels)
    pixels = torch.where(flip[:, None, None, None].to(pixels.device), pixels.flip(-1), pixels)
    theta = torch.zeros(count, 2, 3, device=pixels.device)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.empty(count).uniform_(0.9, 1.1)
    theta[:, :, 2].uniform_(-0.08, 0.08)
    grid = F.affine_grid(theta, [count, 3, SIDE, SIDE], align_corners=False)
    pixels = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    gain = torch.empty(count, 3, 1, 1, device=pixels.device).uniform_(0.85, 1.15)
    pixels = pixels * gain + torch.empty(count, 1, 1, 1, device=pixels.device).uniform_(-0.1, 0.1)
    low = F.interpolate(F.interpolate(pixels, scale_factor=0.5, mode="area"), SIDE, mode="bilinear")
    blur = torch.rand(count, 1, 1, 1, device=pixels.device) * (torch.rand(count, 1, 1, 1, device=pixels.device) < 0.5)
    pixels = torch.lerp(pixels, low, blur) + torch.randn_like(pixels) * 0.02
    return F.interpolate(pixels.clamp(-1, 1), side, mode="bicubic", antialias=True)


def loss_of(
    model: nn.Module, rng: np.random.Generator, pool: Pool, tokenizer: CLIPTokenizer, batch: int, side: int
) -> Tensor:
    """Symmetric contrastive loss of one batch; pixels in [-1, 1] need no normalisation (mean = std = 0.5)."""
    numbers, captions, scenes = pool.batch(rng, batch)
    ids = tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids
    may_flip = torch.tensor([scene.kind != "pair" for scene in scenes])  # captions of pairs name left and right
    views = augment(pool.pixels(numbers), may_flip & (torch.rand(batch) < 0.5), side)
    with autocast():
        image = model.encode_image(views, normalize=True)
        text = model.encode_text(ids.to(best_device()), normalize=True)
    logits = model.logit_scale.exp().clamp(max=100) * image.float() @ text.float().T
    target = torch.arange(batch, device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def main(names: Sequence[str]) -> None:
    """Train the named models, or both."""
    for name in chosen("clip", names, CLIPS):
        train_clip(name)


def train_clip(name: str) -> None:
    """Train and write desk_models/trained/NAME."""
    spec, out = params(name), OUT / name
    side, patches, width = (spec.pop(key) for key in ("input", "patches", "width"))
    schedule = Schedule(**spec)
    seed = params()["seed"] + CLIPS.index(name)
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(out)
    model_config = config(len(tokenizer), side, patches, width)
    model = build(model_config)
    pool = training_pool()
    train(model, lambda m, rng: loss_of(m, rng, pool, tokenizer, schedule.batch, side), schedule, seed, name)
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    document = {"model_cfg": model_config, "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main(sys.argv[1:])
