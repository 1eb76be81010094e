"""A training's checkpoints: which one to go on from, and whether the disk has room for the next."""

import json
import shutil
from pathlib import Path

import torch.distributed
from torch import nn

from synthpairs.runtime.launch import leads, processes


def checkpoint_to_resume(work: Path) -> Path | None:
    """The newest whole checkpoint, the same in every process; half-written ones are removed."""
    newest = [_newest(work) if leads() else None]
    if processes() > 1:
        torch.distributed.broadcast_object_list(newest)
    return newest[0]


def _newest(work: Path) -> Path | None:
    """The Trainer writes its state last, so what has none is not whole."""
    whole = {}
    for path in sorted(work.glob("checkpoint-*")):
        try:
            whole[json.loads((path / "trainer_state.json").read_text())["global_step"]] = path
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path)
    return whole[max(whole)] if whole else None


def check_room(work: Path, learner: nn.Module, checkpoints: int) -> None:
    """OSError without room: a checkpoint stands beside the one it replaces for a moment, the finished model beside the last."""
    trained = sum(weight.numel() for weight in learner.parameters() if weight.requires_grad)
    # What is quantised is packed, and written whole.
    held = sum(getattr(weight, "quant_state", weight).shape.numel() for weight in learner.parameters())
    needed = checkpoints * trained * 3 * 4 + held * 2  # weights and two AdamW moments in float32; bfloat16
    free = shutil.disk_usage(work).free
    if free < needed:
        raise OSError(
            f"{work} needs {needed / 2**30:.1f} GiB for checkpoints, the disk has {free / 2**30:.1f} GiB free; "
            "free some space and run the command again"
        )
