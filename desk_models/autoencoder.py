"""Training of the generator's AutoencoderKL; run as `python -m desk_models.autoencoder`. Writes desk_models/trained/vae.

First encoder and decoder, then the decoder alone: the latents stay as they are, so the generator may already train on them.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from desk_models.loop import Schedule, autocast, train
from desk_models.pool import params, training_pool
from synthpairs.emoji.pool import SIDE, Pool

OUT = Path("desk_models/trained/vae")


def build(channels: list[int], latent_channels: int) -> AutoencoderKL:
    """A small AutoencoderKL; the latents' side is 1/2^(levels-1) of the picture's."""
    return AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * len(channels),
        up_block_types=["UpDecoderBlock2D"] * len(channels),
        block_out_channels=channels,
        latent_channels=latent_channels,
        layers_per_block=1,
        norm_num_groups=8,
        sample_size=SIDE,
        mid_block_add_attention=False,
        force_upcast=False,
    )


def loss_of(model: nn.Module, rng: np.random.Generator, pool: Pool, batch: int, kl: float) -> Tensor:
    """Reconstruction loss plus weighted KL divergence."""
    pixels = pool.pixels(torch.from_numpy(rng.integers(len(pool.scenes), size=batch)))
    with autocast():
        posterior = model.encode(pixels).latent_dist
        decoded = model.decode(posterior.sample()).sample
    return difference(decoded, pixels) + kl * posterior.kl().float().mean()


def difference(decoded: Tensor, pixels: Tensor) -> Tensor:
    """L1 on pixels and on their gradients, which keeps outlines sharp."""
    error = decoded.float() - pixels
    return error.abs().mean() + error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def decoder_loss_of(model: nn.Module, rng: np.random.Generator, pool: Pool, batch: int, noise: float) -> Tensor:
    """Reconstruction loss of the decoder alone, from latents with some noise, as the generator's have."""
    pixels = pool.pixels(torch.from_numpy(rng.integers(len(pool.scenes), size=batch)))
    with autocast():
        with torch.no_grad():
            latents = model.encode(pixels).latent_dist.mode().float()
        latents = latents + noise * torch.rand(batch, 1, 1, 1, device=latents.device) * torch.randn_like(latents)
        decoded = model.decode(latents).sample
    return difference(decoded, pixels)


@torch.no_grad()
def evaluate(model: AutoencoderKL, pool: Pool, count: int = 512) -> dict[str, float]:
    """Reconstruction PSNR in dB and the latents' standard deviation, over the pool's last `count` scenes."""
    latents: list[Tensor] = []

    def rebuild(pixels: Tensor) -> Tensor:
        latents.append(model.encode(pixels).latent_dist.mode())
        return model.decode(latents[-1]).sample

    psnr = psnr_of(rebuild, pool, count)
    return {"psnr_db": psnr, "latent_std": round(torch.cat(latents).std().item(), 4)}


def psnr_of(rebuild: Callable[[Tensor], Tensor], pool: Pool, count: int) -> float:
    """Mean PSNR in dB, to two decimals, of reconstructed pictures in [-1, 1], over the pool's last `count` scenes."""
    squared = []
    for numbers in torch.arange(len(pool.scenes) - count, len(pool.scenes)).split(64):
        pixels = pool.pixels(numbers)
        squared.append(((rebuild(pixels).clamp(-1, 1) - pixels) / 2).square().mean(dim=(1, 2, 3)))
    return round((-10 * torch.cat(squared).log10().mean()).item(), 2)


def main() -> None:
    """Train, evaluate, set the scaling factor to unit variance of the latents, write."""
    spec, seed = params("autoencoder"), params()["seed"]
    torch.manual_seed(seed)
    model = build(spec.pop("channels"), spec.pop("latent_channels"))
    kl, decoder = spec.pop("kl"), spec.pop("decoder")
    schedule = Schedule(**spec)
    pool = training_pool()
    train(model, lambda m, rng: loss_of(m, rng, pool, schedule.batch, kl), schedule, seed, "autoencoder")
    model.encoder.requires_grad_(False)
    model.quant_conv.requires_grad_(False)
    noise = decoder.pop("noise")
    schedule = replace(schedule, **decoder)
    train(model, lambda m, rng: decoder_loss_of(m, rng, pool, schedule.batch, noise), schedule, seed + 1, "decoder")
    metrics = evaluate(model, pool)
    model.register_to_config(scaling_factor=1 / metrics["latent_std"])
    model.half().save_pretrained(OUT)
    logging.info("metrics %s", metrics)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
