"""Training loop of all desk models: wall-time budget, EMA weights, checkpoints, resumption with the same batches."""

import copy
import logging
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthpairs.core.determinism import best_device, compute_dtype

log = logging.getLogger(__name__)
CHECKPOINTS = Path("desk_models/.dvc/tmp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Budget and optimiser settings of a training."""

    minutes: float  # wall time
    batch: int
    learning_rate: float  # peak
    ema: float  # decay of the averaged weights
    checkpoint_s: float  # seconds between checkpoints
    warmup_steps: int = 200


def autocast() -> torch.autocast:
    """Forward pass in `compute_dtype`: bfloat16 on a GPU."""
    return torch.autocast(best_device().type, dtype=torch.bfloat16, enabled=compute_dtype() == torch.bfloat16)


def train(
    model: nn.Module,
    loss_of: Callable[[nn.Module, np.random.Generator], Tensor],
    schedule: Schedule,
    seed: int,
    name: str,
) -> dict[str, float]:
    """Train until the minutes are spent, then load the EMA weights into `model`; returns steps, samples and last loss.

    `loss_of(model, rng)` draws its batch from `rng` and torch's generator, which are seeded by seed and step alone, so a run
    that resumes from the checkpoint `name` has the same batches. The learning rate follows a cosine over the time budget.
    """
    checkpoint = CHECKPOINTS / f"{name}.pt"
    model.to(best_device()).train()
    average = copy.deepcopy(model).requires_grad_(False)
    pairs = zip(average.parameters(), model.parameters(), strict=True)
    averaged, trained = zip(*[(mean, weight) for mean, weight in pairs if weight.requires_grad], strict=True)
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, betas=(0.9, 0.98), weight_decay=0.02)
    step, seconds, smooth = 0, 0.0, math.nan
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=best_device())
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step, seconds, smooth = state["step"], state["seconds"], state["loss"]
        log.info("resuming at step %d, %.1f minutes spent", step, seconds / 60)
    budget, last_save, last_log = schedule.minutes * 60, seconds, seconds
    while seconds < budget:
        started = time.monotonic()
        rate = schedule.learning_rate * min(1.0, (step + 1) / schedule.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * seconds / budget)))
        rng = np.random.default_rng([seed, step])
        torch.manual_seed(int(rng.integers(2**31)))
        loss = loss_of(model, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        decay = min(schedule.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(averaged, trained, 1 - decay)
            for ours, theirs in zip(average.buffers(), model.buffers(), strict=True):
                ours.copy_(theirs)
        step += 1
        smooth = loss.item() if math.isnan(smooth) else 0.98 * smooth + 0.02 * loss.item()
        seconds += time.monotonic() - started
        if seconds - last_log > 30:
            last_log = seconds
            log.info("step %d  loss %.4f  %.0f samples/s  %.1f of %.1f min", step, smooth,
                     step * schedule.batch / seconds, seconds / 60, schedule.minutes)  # fmt: skip
        if seconds - last_save > schedule.checkpoint_s or seconds >= budget:
            last_save = seconds
            _save(checkpoint, {"model": model.state_dict(), "average": average.state_dict(), "loss": smooth,
                               "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds})  # fmt: skip
    model.load_state_dict(average.state_dict())
    model.eval()
    spent = {"steps": step, "samples": step * schedule.batch, "loss": round(smooth, 4)}
    log.info("spent %s", spent)
    return spent


def _save(path: Path, state: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path.with_suffix(".tmp"))
    os.replace(path.with_suffix(".tmp"), path)
