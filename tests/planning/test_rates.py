"""Every rate says where it is from, every load has a rate on every machine, and what was derived can be derived again."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from synthpairs.planning.desk_rates import DESK
from synthpairs.planning.gpu_rates import PAPER
from synthpairs.planning.rates import ANYWHERE, GPUS, REFINER_STEP

# The denoisers of stable-diffusion-xl-base-1.0 and -refiner-1.0 where they differ from each other.
BASE = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (320, 640, 1280), "transformer_layers_per_block": [1, 2, 10], "attention_head_dim": [5, 10, 20],
    "cross_attention_dim": 2048, "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip
REFINER = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "block_out_channels": (384, 768, 1536, 1536), "transformer_layers_per_block": 4, "attention_head_dim": [6, 12, 24, 24],
    "cross_attention_dim": 1280, "projection_class_embeddings_input_dim": 2560,
}  # fmt: skip


def denoising(settings: dict, conditions: int) -> tuple[float, float]:
    """Parameters, and FLOP of one forward pass for a picture of 1024 pixels; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        unet = UNet2DConditionModel(
            sample_size=128, use_linear_projection=True, addition_embed_type="text_time", addition_time_embed_dim=256, **settings
        )  # fmt: skip
        added = {"text_embeds": torch.empty(1, 1280), "time_ids": torch.empty(1, conditions)}
        text = torch.empty(1, 77, settings["cross_attention_dim"])
        with FlopCounterMode(display=False) as counter:
            unet(torch.empty(1, 4, 128, 128), torch.empty(1), text, added_cond_kwargs=added)
    return sum(weight.numel() for weight in unet.parameters()), counter.get_total_flops()


def test_the_refiners_step_beside_the_bases() -> None:
    base, refiner = denoising(BASE, 6), denoising(REFINER, 5)
    assert base[0] == pytest.approx(2.57e9, rel=0.01)  # SDXL's paper: 2.6B
    assert refiner[0] == pytest.approx(2.26e9, rel=0.01)
    assert pytest.approx(refiner[1] / base[1], abs=0.005) == REFINER_STEP


def test_every_rate_names_its_hardware_and_its_source() -> None:
    for rate in [*DESK.values(), *PAPER.values(), *ANYWHERE.values()]:
        assert 0 < rate.low < 1 < rate.high
        assert min(len(rate.hardware), len(rate.source), len(rate.piece)) > 5
    assert all(gpu.low <= gpu.speed <= gpu.high and gpu.source for gpu in GPUS.values())


def test_both_tables_know_the_same_work() -> None:
    assert DESK.keys() == PAPER.keys()
    assert not DESK.keys() & ANYWHERE.keys()
    assert {name for name, rate in DESK.items() if rate.alone} == {name for name, rate in PAPER.items() if rate.alone}
