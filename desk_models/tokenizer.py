"""Training of the VQ tokenizer of the Synth2 route; run as `python -m desk_models.tokenizer`.

Writes desk_models/trained/tokenizer, a VQModel (van den Oord et al. 2017, arXiv 1711.00937; Esser et al. 2021, arXiv
2012.09841) that turns a 64-pixel picture into 8 x 8 codes. Its layers near the pixels start from the generator's autoencoder,
which has learnt the same scenes. It learns without codes first; then the codebook starts from what the encoder says, and a code
that nothing uses is put where something is, so that few codes lie idle.
"""

import logging
import re
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, VQModel
from torch import Tensor, nn

from desk_models.autoencoder import difference, psnr_of
from desk_models.loop import Schedule, autocast, train
from desk_models.pool import params, training_pool, training_rows
from synthpairs.core.storage import write_json
from synthpairs.emoji.pool import SIDE, Pool
from synthpairs.generation.vq_pairs.listing import RECORD, describe

OUT = Path("desk_models/trained/tokenizer")
AUTOENCODER = Path("desk_models/trained/vae")


class Learner(nn.Module):
    """The model and how long ago, in steps, each code was last used; `step` counts the steps taken."""

    idle: Tensor
    step: Tensor

    def __init__(self, vq: VQModel) -> None:
        super().__init__()
        self.vq = vq
        self.register_buffer("idle", torch.zeros(vq.config.num_vq_embeddings))
        self.register_buffer("step", torch.zeros(()))

    def encode(self, pixels: Tensor) -> Tensor:
        """The encoder's answer before quantisation [picture, channel, row, column]."""
        return self.vq.quant_conv(self.vq.encoder(pixels))

    def decode(self, vectors: Tensor) -> Tensor:
        """Pictures of codebook vectors."""
        return self.vq.decoder(self.vq.post_quant_conv(vectors))


def build(channels: list[int], codes: int, code_channels: int) -> VQModel:
    """A small VQModel: codes lie on a grid of 1/2^(levels-1) of the picture's side.

    Latents are as wide as codes because AmusedPipeline takes that for granted when it decodes.
    """
    return VQModel(
        down_block_types=["DownEncoderBlock2D"] * len(channels),
        up_block_types=["UpDecoderBlock2D"] * len(channels),
        block_out_channels=channels,
        latent_channels=code_channels,
        vq_embed_dim=code_channels,
        num_vq_embeddings=codes,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )


def start_from(vq: VQModel, autoencoder: AutoencoderKL) -> int:
    """Copy what fits of an autoencoder with one level less, whose decoder's levels are one further in; how many weights."""
    known, taken = vq.state_dict(), {}
    for name, value in autoencoder.state_dict().items():
        level = re.match(r"decoder\.up_blocks\.(\d+)\.", name)
        if level:
            name = f"decoder.up_blocks.{int(level[1]) + 1}.{name[level.end() :]}"
        if name.startswith(("encoder.", "decoder.")) and name in known and known[name].shape == value.shape:
            taken[name] = value
    vq.load_state_dict(taken, strict=False)
    return sum(value.numel() for value in taken.values())


def loss_of(
    learner: Learner,
    rng: np.random.Generator,
    pool: Pool,
    batch: int,
    free_steps: int,
    idle_steps: int,
    commitment: float,
) -> Tensor:
    """The difference after encoding and decoding, the distance to the codes, and the care of the codebook."""
    pixels = pool.pixels(torch.from_numpy(rng.integers(len(pool.scenes), size=batch)))
    codebook = learner.vq.quantize.embedding.weight
    learner.step += 1
    with autocast():
        vectors = learner.encode(pixels)
    vectors = vectors.float()
    if learner.step <= free_steps:
        with autocast():
            return difference(learner.decode(vectors), pixels)
    flat = vectors.permute(0, 2, 3, 1).flatten(0, 2)
    with torch.no_grad():
        learner.idle += 1
        if learner.step == free_steps + 1:
            learner.idle += idle_steps  # every code starts from an answer of the encoder
        stale = (learner.idle > idle_steps).nonzero().flatten()
        chosen = torch.randint(len(flat), (len(stale),), device=flat.device)
        codebook[stale] = flat[chosen] + 0.01 * flat.std() * torch.randn_like(flat[chosen])
        codes = torch.cdist(flat, codebook).argmin(1)
        learner.idle[codes] = 0
        learner.idle[stale] = 0
    nearest = codebook[codes]
    committed = (flat - nearest.detach()).square().mean()
    moved = (nearest - flat.detach()).square().mean()
    quantised = nearest.view(len(pixels), *vectors.shape[2:], -1).permute(0, 3, 1, 2)
    with autocast():
        decoded = learner.decode(vectors + (quantised - vectors).detach())
    return difference(decoded, pixels) + commitment * committed + moved


@torch.no_grad()
def evaluate(model: VQModel, pool: Pool, count: int = 512) -> dict[str, float]:
    """Reconstruction PSNR in dB and the share of codes in use, over the pool's last scenes."""
    used: set[int] = set()

    def rebuild(pixels: Tensor) -> Tensor:
        vectors, _, (_, _, codes) = model.quantize(model.encode(pixels).latents)
        used.update(codes.flatten().tolist())
        return model.decoder(model.post_quant_conv(vectors))

    psnr = psnr_of(rebuild, pool, count)
    return {"psnr_db": psnr, "codes_used": round(len(used) / model.config.num_vq_embeddings, 4)}


def main() -> None:
    """Train, measure, write."""
    spec, seed = params("tokenizer"), params()["seed"]
    torch.manual_seed(seed)
    learner = Learner(build(spec.pop("channels"), spec.pop("codes"), spec.pop("code_channels")))
    copied = start_from(learner.vq, AutoencoderKL.from_pretrained(AUTOENCODER))
    logging.info("%d of %d weights from the autoencoder", copied, sum(w.numel() for w in learner.parameters()))
    care = {key: spec.pop(key) for key in ("free_steps", "idle_steps", "commitment")}
    schedule = Schedule(**spec)
    pool = training_pool()
    train(learner, lambda _, rng: loss_of(learner, rng, pool, schedule.batch, **care), schedule, seed, "tokenizer")
    logging.info("measured %s", evaluate(learner.vq, pool))
    learner.vq.half().save_pretrained(OUT)
    write_json(OUT / RECORD, describe(pool.scenes, training_rows()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
