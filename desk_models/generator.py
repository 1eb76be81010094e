"""Training of the diffusion generator's UNet; run as `python -m desk_models.generator`.

Writes desk_models/trained/generator, a StableDiffusionXLPipeline directory: SDXL's text conditioning (penultimate hidden states,
pooled embedding, size and crop ids) at a fraction of its size. Needs the autoencoder and the exported text encoder.
"""

import logging
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from desk_models.export import encode, load_text
from desk_models.loop import Schedule, autocast, train
from desk_models.pool import params, training_pool
from synthpairs.core.determinism import best_device
from synthpairs.emoji.pool import SIDE, Pool

OUT = Path("desk_models/trained/generator")
VAE = Path("desk_models/trained/vae")
TIME_IDS = (SIDE, SIDE, 0, 0, SIDE, SIDE)  # original size, crop corner, target size: always the whole picture


def build(channels: list[int], vae: AutoencoderKL, text: CLIPTextModelWithProjection) -> UNet2DConditionModel:
    """A small UNet of SDXL's architecture, with attention below the first level only."""
    deep = len(channels) - 1
    return UNet2DConditionModel(
        sample_size=SIDE // 2 ** (len(vae.config.block_out_channels) - 1),
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        down_block_types=["DownBlock2D", *["CrossAttnDownBlock2D"] * deep],
        up_block_types=[*["CrossAttnUpBlock2D"] * deep, "UpBlock2D"],
        block_out_channels=channels,
        layers_per_block=1,
        transformer_layers_per_block=1,
        attention_head_dim=[width // 32 for width in channels],  # the number of heads, in spite of its name
        cross_attention_dim=text.config.hidden_size,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=32 * len(TIME_IDS) + text.config.projection_dim,
        norm_num_groups=16,
    )


def scheduler() -> DDIMScheduler:
    """DDIM with velocity prediction and zero terminal signal-to-noise ratio, so that plain backgrounds keep their colour."""
    return DDIMScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


@torch.no_grad()
def encode_pool(pool: Pool, vae: AutoencoderKL) -> Tensor:
    """Scaled latents of all pictures of the pool, half precision."""
    numbers = torch.arange(len(pool.scenes)).split(256)
    latents = [vae.encode(pool.pixels(chunk)).latent_dist.mode() * vae.config.scaling_factor for chunk in numbers]
    return torch.cat(latents).half().cpu()


def conditions(
    captions: list[str], drop: Tensor, tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection
) -> tuple[Tensor, dict[str, Tensor]]:
    """Conditions of SDXL's UNet as StableDiffusionXLPipeline makes them: hidden states, added conditions.

    Rows in `drop` are zero, like the pipeline's empty prompt.
    """
    states, pooled = encode(captions, tokenizer, encoder)
    keep = (~drop).to(best_device()).float()
    time_ids = torch.tensor(TIME_IDS, device=best_device(), dtype=torch.float32).repeat(len(captions), 1)
    return states * keep[:, None, None], {"text_embeds": pooled * keep[:, None], "time_ids": time_ids}


def main() -> None:
    """Train the UNet on the pool's latents and write the pipeline."""
    spec, seed = params("generator"), params()["seed"]
    torch.manual_seed(seed)
    vae = AutoencoderKL.from_pretrained(VAE).to(best_device()).eval()
    tokenizer, encoder = load_text()
    unet = build(spec.pop("channels"), vae, encoder)
    drop_text = spec.pop("drop_text")
    schedule, noise_schedule = Schedule(**spec), scheduler()
    alphas = noise_schedule.alphas_cumprod
    pool = training_pool()
    latents = encode_pool(pool, vae)
    logging.info("%.1f M parameters, latents %s std %.3f", sum(p.numel() for p in unet.parameters()) / 1e6,
                 tuple(latents.shape), latents.float().std())  # fmt: skip

    def loss_of(model: nn.Module, rng: np.random.Generator) -> Tensor:
        numbers, captions, _ = pool.batch(rng, schedule.batch)
        clean = latents[numbers].to(best_device()).float()
        # Stratified time steps: the same expectation as independent draws, with less variance.
        strata = (torch.arange(schedule.batch) + torch.rand(schedule.batch)) / schedule.batch
        steps = (strata * len(alphas)).long().clamp(max=len(alphas) - 1)
        noise = torch.randn_like(clean)
        noisy = noise_schedule.add_noise(clean, noise, steps.to(clean.device))
        target = noise_schedule.get_velocity(clean, noise, steps.to(clean.device))
        states, added = conditions(captions, torch.rand(schedule.batch) < drop_text, tokenizer, encoder)
        with autocast():
            predicted = model(noisy, steps.to(clean.device), states, added_cond_kwargs=added).sample
        error = (predicted.float() - target).square().mean(dim=(1, 2, 3))
        ratio = alphas[steps] / (1 - alphas[steps]).clamp(min=1e-8)  # signal to noise
        weight = (ratio.clamp(max=5) + 1) / (ratio + 1)  # min-SNR (arXiv 2303.09556) for velocity
        return (error * weight.to(error.device)).mean()

    train(unet, loss_of, schedule, seed, "generator")
    StableDiffusionXLPipeline(
        vae=vae.half(), text_encoder=None, text_encoder_2=encoder.half(), tokenizer=None, tokenizer_2=tokenizer,
        unet=unet.half(), scheduler=noise_schedule, force_zeros_for_empty_prompt=True, add_watermarker=False,
    ).save_pretrained(OUT)  # fmt: skip


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
