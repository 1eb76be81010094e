"""What is done beside a training's steps: progress is shown, a loss that is not finite ends it, a watcher is told."""

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from tqdm import tqdm
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_callback import TrainerControl, TrainerState

from synthpairs.launch import leads

log = logging.getLogger(__name__)
LOG_SECONDS = 15


class Progress(TrainerCallback):
    """A bar on a terminal, a log line now and then elsewhere; stops at a loss that is not finite."""

    def __init__(self, batch: int) -> None:
        self._batch = batch

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Open the bar."""
        self._first, self._started, self._logged = state.global_step, time.monotonic(), time.monotonic()
        self._bar = tqdm(
            total=state.max_steps, initial=state.global_step, unit="step", disable=not (leads() and sys.stderr.isatty())
        )

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Move the bar."""
        self._bar.update()
        if state.global_step >= state.max_steps:
            control.should_save = False  # the finished model is written next

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        """Show the step's loss; ValueError when it is not finite."""
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise ValueError(
                f"the loss at step {state.global_step} is {logs['loss']}; lower learning_rate in params.yaml"
            )
        self._bar.set_postfix(loss=f"{logs['loss']:.3f}")
        now = time.monotonic()
        if leads() and self._bar.disable and now - self._logged > LOG_SECONDS:
            self._logged = now
            pace = (now - self._started) / (state.global_step - self._first)
            log.info("step %d of %d, loss %.3f, %.1f examples/s, %.0f s left", state.global_step, state.max_steps,
                     logs["loss"], self._batch / pace, pace * (state.max_steps - state.global_step))  # fmt: skip

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Close the bar."""
        self._bar.close()


class Watch(TrainerCallback):
    """Tells a function of every step that is done."""

    def __init__(self, watch: Callable[[int], object]) -> None:
        self._watch = watch

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell it."""
        self._watch(state.global_step)
