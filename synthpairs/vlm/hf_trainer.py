"""The HF Trainer as LLaVA training uses it: fixed order of examples, projector learning rate, progress, checkpoints."""

import json
import logging
import math
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from safetensors import SafetensorError, safe_open
from torch import nn
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from synthpairs.core.determinism import compute_dtype
from synthpairs.runtime.launch import is_main_process, local_world_size, processes
from synthpairs.vlm.examples import Example, Examples
from synthpairs.vlm.params import Training

log = logging.getLogger(__name__)
LOG_SECONDS = 15


class OrderedDataset(torch.utils.data.Dataset):
    """The examples in training order: `order` holds their indices, which may repeat."""

    def __init__(self, examples: Examples, order: Sequence[int]) -> None:
        self._examples, self._order = examples, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Example:
        return self._examples[self._order[index]]


class LlavaTrainer(Trainer):
    """HF Trainer with a learning rate of its own for the projector; None: the same as the rest."""

    optimizer: torch.optim.Optimizer | None
    projector_rate: float | None = None

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over the model, sharded or whole."""
        if self.optimizer is None:
            rate = self.args.learning_rate
            projector_rate = rate if self.projector_rate is None else self.projector_rate
            self.optimizer = adamw(model or self.model, rate, projector_rate, self.args.weight_decay)
        return self.optimizer


def adamw(objective: nn.Module, rate: float, projector_rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW over the trainable weights; weight decay on matrices only, as the HF Trainer's.

    Order and number of the parameter groups are part of a checkpoint.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, weight in objective.named_parameters():
        if weight.requires_grad:
            groups.setdefault(("multi_modal_projector" in name, weight.ndim > 1), []).append(weight)
    settings = [
        {"params": weights, "lr": projector_rate if projector else rate, "weight_decay": decay if matrices else 0.0}
        for (projector, matrices), weights in groups.items()
    ]
    return torch.optim.AdamW(settings, fused=True)


class ProgressCallback(TrainerCallback):
    """Progress bar on a terminal, log lines elsewhere; ValueError at a loss that is not finite.

    The first process calls `on_step` with the number of each finished step.
    """

    def __init__(self, section: str, batch: int, on_step: Callable[[int], object] | None = None) -> None:
        self._section, self._batch = section, batch
        self._on_step = on_step if is_main_process() else None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the bar."""
        self._first, self._started, self._logged = state.global_step, time.monotonic(), time.monotonic()
        hidden = not (is_main_process() and sys.stderr.isatty())
        self._bar = tqdm(
            total=state.max_steps, initial=state.global_step, unit="step", desc=self._section, disable=hidden
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar, call `on_step`."""
        self._bar.update()
        if state.global_step >= state.max_steps:
            control.should_save = False  # the finished model is written next
        if self._on_step:
            self._on_step(state.global_step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        """Show the step's loss."""
        if "loss" not in logs:
            return
        loss, step, last = logs["loss"], state.global_step, state.max_steps
        if not math.isfinite(loss):
            raise ValueError(f"the loss at step {step} is {loss}; lower {self._section}.learning_rate in params.yaml")
        self._bar.set_postfix(loss=f"{loss:.3f}")
        now = time.monotonic()
        if is_main_process() and self._bar.disable and now - self._logged > LOG_SECONDS:
            self._logged = now
            step_s = (now - self._started) / (step - self._first)
            log.info("step %d of %d, loss %.3f, %.1f examples/s, %.0f s left",
                     step, last, loss, self._batch / step_s, step_s * (last - step))  # fmt: skip

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the bar."""
        self._bar.close()


def training_arguments(
    section: str, params: Training, steps: int, work: Path, sharded_layers: list[str] | None
) -> TrainingArguments:
    """The HF Trainer's settings. ValueError when `batch` cannot be divided among the processes.

    `sharded_layers` are the class names of layers that FSDP divides among the processes; None: no FSDP.
    """
    cuda, count = torch.cuda.is_available(), processes()
    if params.batch_size % (params.micro_batch_size * count):
        raise ValueError(
            f"params.yaml: {section}.batch_size must be a multiple of micro_batch_size x processes, "
            f"got {params.batch_size} and {params.micro_batch_size} x {count}"
        )
    fsdp = {"transformer_layer_cls_to_wrap": sharded_layers, "state_dict_type": "SHARDED_STATE_DICT"}
    arguments = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=params.micro_batch_size,
        gradient_accumulation_steps=params.batch_size // (params.micro_batch_size * count),
        max_steps=steps,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm or 0.0,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(params.warmup_ratio * steps),
        bf16=compute_dtype() == torch.bfloat16,
        use_cpu=not cuda,
        ddp_backend="gloo" if count > 1 and not cuda else None,
        fsdp=bool(sharded_layers),
        fsdp_config=fsdp if sharded_layers else None,
        ddp_find_unused_parameters=True,  # a process whose examples have no pictures does not use the projector
        seed=params.seed,
        full_determinism=cuda,  # CPU kernels are deterministic as they are
        train_sampling_strategy="sequential",  # OrderedDataset has the order: the Trainer's depends on its generator
        save_steps=params.save_steps,
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        dataloader_num_workers=min(8, (os.cpu_count() or 1) // local_world_size())
        if cuda
        else 0,  # they decode pictures
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # the Trainer would spread a step over all visible devices
    return arguments


def checkpoint_to_resume(work: Path) -> Path | None:
    """The newest complete checkpoint, the same in every process; half-written ones are removed."""
    newest = [_newest_checkpoint(work) if is_main_process() else None]
    if processes() > 1:
        torch.distributed.broadcast_object_list(newest)
    return newest[0]


def _newest_checkpoint(work: Path) -> Path | None:
    complete = {}
    for path in sorted(work.glob("checkpoint-*")):
        try:  # the Trainer writes its state last, but a power cut may have cut any file
            step = json.loads((path / "trainer_state.json").read_text())["global_step"]
            for file in path.iterdir():
                _check_whole(file)
            complete[step] = path
        except (OSError, ValueError, KeyError, SafetensorError):
            shutil.rmtree(path)
    return complete[max(complete)] if complete else None


def _check_whole(file: Path) -> None:
    if file.suffix == ".safetensors":
        with safe_open(file, "pt"):  # compares the file's size with its header
            return
    if file.suffix in (".bin", ".pt", ".pth") and not zipfile.is_zipfile(file):  # the directory is at the end
        raise ValueError(f"{file} is cut")


def check_disk_space(work: Path, objective: nn.Module, checkpoints: int) -> None:
    """OSError without room for so many checkpoints, a new one and the one it replaces, and for the finished model."""
    trained = sum(weight.numel() for weight in objective.parameters() if weight.requires_grad)
    # Quantised weights are packed, and written in full.
    total = sum(getattr(weight, "quant_state", weight).shape.numel() for weight in objective.parameters())
    needed = checkpoints * trained * 3 * 4 + total * 2  # weights and two AdamW moments in float32; bfloat16
    free = shutil.disk_usage(work).free
    if free < needed:
        raise OSError(
            f"{work} needs {needed / 2**30:.1f} GiB for checkpoints, the disk has {free / 2**30:.1f} GiB free; "
            "free some space and run the command again"
        )
