"""Train a desk CLIP with open_clip; run as `python -m pretrain.clip`, or `python -m pretrain.clip second_clip`.

Writes data/pretrain/clip: an open_clip directory (load with `local-dir:data/pretrain/clip`) with its tokenizer. The second
one, another tower from another seed, selects nothing: it says how far scores depend on which CLIP is asked.
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

from pretrain.loop import Schedule, autocast, train
from pretrain.pool import CLIPS, params, training_pool
from synthpairs.artwork.pool import SIDE, Pool
from synthpairs.inference import best_device

OUT = Path("data/pretrain")
HEAD = 32  # width of an attention head
MERGES = 8000  # of CLIP's 48,894 byte-pair merges: the commonest English words stay whole
CONTEXT = 32


def write_tokenizer(out: Path) -> CLIPTokenizer:
    """CLIP's own byte-pair tokenizer cut to its first MERGES merges; ids keep CLIP's order, end of text is the highest."""
    source = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    merges = gzip.decompress(source.read_bytes()).decode().split("\n")[1 : MERGES + 1]
    letters = list(open_clip.tokenizer.bytes_to_unicode().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    vocabulary = {word: number for number, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(
        vocab=vocabulary, merges=[tuple(merge.split()) for merge in merges], model_max_length=CONTEXT
    )
    tokenizer.save_pretrained(out)
    return tokenizer


def config(vocabulary: int, side: int, patches: int, width: int) -> dict:
    """The open_clip model: a 6-layer image tower that sees `patches` x `patches` patches, a 3-layer text tower."""
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
            "hf_tokenizer_name": "clip",  # open_clip then reads the tokenizer beside this file
            "tokenizer_kwargs": {"clean": "lower"},
        },
    }


def augment(pixels: Tensor, flip: Tensor, side: int) -> Tensor:
    """Views [n, 3, side, side] of pictures in [-1, 1]: mirrored where `flip`, shifted, recoloured and blurred a little.

    Generated pictures are blurred and off in colour; a tower that knows only crisp ones could not score them.
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
    """The symmetric contrastive loss over one batch; normalisation maps [-1, 1] straight to the tower (mean = std = 0.5)."""
    torch.manual_seed(int(rng.integers(2**31)))
    numbers, captions, scenes = pool.batch(rng, batch)
    ids = tokenizer(captions, padding="max_length", truncation=True, max_length=CONTEXT, return_tensors="pt").input_ids
    may_flip = torch.tensor([scene.kind != "pair" for scene in scenes])  # left and right matter in a pair
    views = augment(pool.pixels(numbers), may_flip & (torch.rand(batch) < 0.5), side)
    with autocast():
        image = model.encode_image(views, normalize=True)
        text = model.encode_text(ids.to(best_device()), normalize=True)
    logits = model.logit_scale.exp().clamp(max=100) * image.float() @ text.float().T
    target = torch.arange(batch, device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def main(arguments: Sequence[str]) -> None:
    """Train and write data/pretrain/NAME; ValueError for a name that is none."""
    name = arguments[0] if arguments else CLIPS[0]
    if name not in CLIPS or len(arguments) > 1:
        raise ValueError(f"usage: python -m pretrain.clip NAME, with NAME one of {', '.join(CLIPS)}; got {arguments}")
    spec, out = params(name), OUT / name
    side, patches, width = (spec.pop(key) for key in ("input", "patches", "width"))
    schedule = Schedule(**spec)
    seed = params()["seed"] + CLIPS.index(name)  # each from a seed of its own
    torch.manual_seed(seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(out)
    model_config = config(len(tokenizer), side, patches, width)
    model = open_clip.CLIP(
        embed_dim=model_config["embed_dim"],
        vision_cfg=model_config["vision_cfg"],
        text_cfg={
            k: v for k, v in model_config["text_cfg"].items() if k not in ("hf_tokenizer_name", "tokenizer_kwargs")
        },
        init_logit_scale=math.log(1 / 0.07),
    )
    pool = training_pool()
    spent = train(model, lambda m, rng: loss_of(m, rng, pool, tokenizer, schedule.batch, side), schedule, seed,
                  Path(f".dvc/tmp/pretrain/{name}.pt"))  # fmt: skip
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}
    (out / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model_config, "preprocess_cfg": preprocess}, indent=2) + "\n"
    )
    logging.info("spent %s", spent)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main(sys.argv[1:])
