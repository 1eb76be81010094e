"""Training of the VQ tokenizer of the Synth2 route; run as `python -m desk_models.tokenizer`.

Writes desk_models/trained/tokenizer, a VQModel (van den Oord et al. 2017, arXiv 1711.00937; Esser et al. 2021, arXiv
2012.09841) that turns a 64-pixel picture into 8 x 8 tokens. Its outer layers start from the generator's autoencoder, trained on
the same scenes. Training starts without quantisation; then the codebook is initialised with encoder outputs, and codebook
vectors without use are reset to encoder outputs.
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


class TokenizerModel(nn.Module):
    """The model, steps since each codebook vector was last used (`idle`), and the number of steps (`step`)."""

    idle: Tensor
    step: Tensor

    def __init__(self, vq: VQModel) -> None:
        super().__init__()
        self.vq = vq
        self.register_buffer("idle", torch.zeros(vq.config.num_vq_embeddings))
        self.register_buffer("step", torch.zeros(()))

    def encode(self, pixels: Tensor) -> Tensor:
        """Encoder output before quantisation [picture, channel, row, column]."""
        return self.vq.quant_conv(self.vq.encoder(pixels))

    def decode(self, vectors: Tensor) -> Tensor:
        """Pictures of codebook vectors."""
        return self.vq.decoder(self.vq.post_quant_conv(vectors))


def build(channels: list[int], codes: int, code_channels: int) -> VQModel:
    """A small VQModel of `codes` codebook vectors; the token grid's side is 1/2^(levels-1) of the picture's.

    AmusedPipeline requires latents as wide as codebook vectors.
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
    """Copy the fitting weights of an autoencoder with one level less; returns their number."""
    known, copied = vq.state_dict(), {}
    for name, value in autoencoder.state_dict().items():
        level = re.match(r"decoder\.up_blocks\.(\d+)\.", name)
        if level:  # the first level of the decoder is new
            name = f"decoder.up_blocks.{int(level[1]) + 1}.{name[level.end() :]}"
        if name.startswith(("encoder.", "decoder.")) and name in known and known[name].shape == value.shape:
            copied[name] = value
    vq.load_state_dict(copied, strict=False)
    return sum(value.numel() for value in copied.values())


def loss_of(
    model: TokenizerModel,
    rng: np.random.Generator,
    pool: Pool,
    batch: int,
    free_steps: int,
    idle_steps: int,
    commitment: float,
) -> Tensor:
    """Reconstruction, commitment and codebook loss; resets codebook vectors without use for `idle_steps`."""
    pixels = pool.pixels(torch.from_numpy(rng.integers(len(pool.scenes), size=batch)))
    codebook = model.vq.quantize.embedding.weight
    model.step += 1
    with autocast():
        vectors = model.encode(pixels)
    vectors = vectors.float()
    if model.step <= free_steps:
        with autocast():
            return difference(model.decode(vectors), pixels)
    flat = vectors.permute(0, 2, 3, 1).flatten(0, 2)
    with torch.no_grad():
        model.idle += 1
        if model.step == free_steps + 1:
            model.idle += idle_steps  # the whole codebook is initialised with encoder outputs
        stale = (model.idle > idle_steps).nonzero().flatten()
        chosen = torch.randint(len(flat), (len(stale),), device=flat.device)
        codebook[stale] = flat[chosen] + 0.01 * flat.std() * torch.randn_like(flat[chosen])
        tokens = torch.cdist(flat, codebook).argmin(1)
        model.idle[tokens] = 0
        model.idle[stale] = 0
    nearest = codebook[tokens]
    committed = (flat - nearest.detach()).square().mean()
    moved = (nearest - flat.detach()).square().mean()
    quantised = nearest.view(len(pixels), *vectors.shape[2:], -1).permute(0, 3, 1, 2)
    with autocast():
        decoded = model.decode(vectors + (quantised - vectors).detach())
    return difference(decoded, pixels) + commitment * committed + moved


@torch.no_grad()
def evaluate(model: VQModel, pool: Pool, count: int = 512) -> dict[str, float]:
    """Reconstruction PSNR in dB and the share of used tokens, over the pool's last `count` scenes."""
    used: set[int] = set()

    def rebuild(pixels: Tensor) -> Tensor:
        vectors, _, (_, _, tokens) = model.quantize(model.encode(pixels).latents)
        used.update(tokens.flatten().tolist())
        return model.decoder(model.post_quant_conv(vectors))

    psnr = psnr_of(rebuild, pool, count)
    return {"psnr_db": psnr, "codes_used": round(len(used) / model.config.num_vq_embeddings, 4)}


def main() -> None:
    """Train, evaluate, write."""
    spec, seed = params("tokenizer"), params()["seed"]
    torch.manual_seed(seed)
    model = TokenizerModel(build(spec.pop("channels"), spec.pop("codes"), spec.pop("code_channels")))
    copied = start_from(model.vq, AutoencoderKL.from_pretrained(AUTOENCODER))
    logging.info("%d of %d weights from the autoencoder", copied, sum(w.numel() for w in model.parameters()))
    codebook = {key: spec.pop(key) for key in ("free_steps", "idle_steps", "commitment")}
    schedule = Schedule(**spec)
    pool = training_pool()
    train(model, lambda _, rng: loss_of(model, rng, pool, schedule.batch, **codebook), schedule, seed, "tokenizer")
    logging.info("metrics %s", evaluate(model.vq, pool))
    model.vq.half().save_pretrained(OUT)
    write_json(OUT / RECORD, describe(pool.scenes, training_rows()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
