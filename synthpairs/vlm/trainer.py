"""The HF Trainer with the examples in a fixed order, an optimiser of our own, and a progress bar."""

import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from tqdm import tqdm
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from synthpairs.runtime.launch import leads
from synthpairs.vlm.examples import Example, Examples

log = logging.getLogger(__name__)
LOG_SECONDS = 15


class OrderedDataset(torch.utils.data.Dataset):
    """The examples in their order of training: `order` says which comes when, and may name one several times."""

    def __init__(self, examples: Examples, order: Sequence[int]) -> None:
        self._examples, self._order = examples, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Example:
        return self._examples[self._order[index]]


class LlavaTrainer(Trainer):
    """A Trainer whose projector has a learning rate of its own; None: that of the rest."""

    optimizer: torch.optim.Optimizer | None
    projector_rate: float | None = None

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """That of the model, divided or whole."""
        if self.optimizer is None:
            rate, projector_rate = self.args.learning_rate, self.projector_rate
            self.optimizer = adamw(self.model if model is None else model, rate,
                                   rate if projector_rate is None else projector_rate, self.args.weight_decay)  # fmt: skip
        return self.optimizer


def adamw(learner: nn.Module, rate: float, projector_rate: float, decay: float) -> torch.optim.AdamW:
    """AdamW for what is trained; weight decay, if any, on matrices only, as the Trainer's own.

    Order and number of the groups are part of a checkpoint.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, weight in learner.named_parameters():
        if weight.requires_grad:
            groups.setdefault(("multi_modal_projector" in name, weight.ndim > 1), []).append(weight)
    settings = [
        {"params": weights, "lr": projector_rate if projector else rate, "weight_decay": decay if matrices else 0.0}
        for (projector, matrices), weights in groups.items()
    ]
    return torch.optim.AdamW(settings, fused=True)


class Progress(TrainerCallback):
    """A bar on a terminal, a log line now and then elsewhere; stops at a loss that is not finite.

    `watch`, if any, is called with the number of every step that is done, by the first process alone.
    """

    def __init__(self, batch: int, watch: Callable[[int], object] | None = None) -> None:
        self._batch, self._watch = batch, watch if leads() else None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the bar."""
        self._first, self._started, self._logged = state.global_step, time.monotonic(), time.monotonic()
        hidden = not (leads() and sys.stderr.isatty())
        self._bar = tqdm(total=state.max_steps, initial=state.global_step, unit="step", disable=hidden)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar, call `watch`."""
        self._bar.update()
        if state.global_step >= state.max_steps:
            control.should_save = False  # the finished model is written next
        if self._watch:
            self._watch(state.global_step)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        """Show the step's loss; ValueError when it is not finite."""
        if "loss" not in logs:
            return
        loss, step, last = logs["loss"], state.global_step, state.max_steps
        if not math.isfinite(loss):
            raise ValueError(f"the loss at step {step} is {loss}; lower learning_rate in params.yaml")
        self._bar.set_postfix(loss=f"{loss:.3f}")
        now = time.monotonic()
        if leads() and self._bar.disable and now - self._logged > LOG_SECONDS:
            self._logged = now
            pace = (now - self._started) / (step - self._first)
            log.info("step %d of %d, loss %.3f, %.1f examples/s, %.0f s left",
                     step, last, loss, self._batch / pace, pace * (last - step))  # fmt: skip

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the bar."""
        self._bar.close()
