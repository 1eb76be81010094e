"""Training of a VLM, resumable: objective, order of examples, the loop, metrics. Equal runs give byte-identical weights.

`run_training` is what the stages call; the trainings that use it are in `synthpairs.vlm.pretraining`, `finetuning` and
`resampler_pretraining`, the HF Trainer's settings and callbacks in `synthpairs.vlm.hf_trainer`.
"""

import contextlib
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration
from transformers.trainer_callback import PrinterCallback

from synthpairs.core.schema import digest
from synthpairs.core.storage import WorkStore, file_sha256
from synthpairs.runtime.launch import is_main_process
from synthpairs.runtime.settings import load_runtime
from synthpairs.runtime.tracking import log_curve
from synthpairs.vlm.examples import IGNORED, Example, Examples, collate, fingerprint
from synthpairs.vlm.hf_trainer import (
    LlavaTrainer,
    OrderedDataset,
    ProgressCallback,
    check_disk_space,
    checkpoint_to_resume,
    training_arguments,
)
from synthpairs.vlm.model import part_names
from synthpairs.vlm.params import Resampler, Training, Vlm
from synthpairs.vlm.parts import part_identity
from synthpairs.vlm.sharding import gather, layers_to_shard, sharded

log = logging.getLogger(__name__)
WINDOW = 16  # batches whose examples are sorted by length together; more would pad less and mix less


class Objective(nn.Module):
    """A model for the HF Trainer: `forward` returns the loss, and checkpoints hold the trainable weights alone."""

    accepts_loss_kwargs = True

    def __init__(self, vlm: LlavaForConditionalGeneration) -> None:
        super().__init__()
        self.vlm = vlm

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The trainable tensors by name; tied ones once."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Load what `state_dict` gave; ValueError when that is of another model."""
        if state_dict.keys() != self.state_dict().keys():
            raise ValueError("the checkpoint is of another model; delete it and run the command again")
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        result.missing_keys.clear()  # the frozen weights, which are in place
        return result


class CausalLMObjective(Objective):
    """Causal-LM objective: cross-entropy on answer tokens only.

    The language model's head, a fifth of a step at 49,152 tokens, runs only where there is a label.
    """

    projector_always_used = False  # FSDP: examples without pictures must give the projector a gradient, of 0

    def __init__(self, vlm: LlavaForConditionalGeneration) -> None:
        super().__init__(vlm)
        if not torch.cuda.is_available():
            # Backward through the fused kernel takes a quarter of a step of 40 tokens on a CPU, plain products next to nothing.
            vlm.model.language_model.set_attn_implementation("eager")

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        pixel_values: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> dict[str, Tensor]:
        """Summed cross-entropy divided by `num_items_in_batch`, the number of labels in the whole step."""
        hidden = self.vlm.model(input_ids=input_ids, pixel_values=pixel_values, use_cache=False).last_hidden_state
        labelled = labels[:, 1:] != IGNORED
        logits = self.vlm.lm_head(hidden[:, :-1][labelled])
        loss = F.cross_entropy(logits.float(), labels[:, 1:][labelled], reduction="sum")
        if self.projector_always_used and pixel_values is None:
            loss = loss + 0.0 * sum(weight.sum() for weight in self.vlm.model.multi_modal_projector.parameters())
        return {"loss": loss / (labelled.sum() if num_items_in_batch is None else num_items_in_batch)}


def training_order(lengths: Sequence[int], params: Training) -> list[int]:
    """Indices of the examples in training order, `batch` for each step: shuffled epochs, grouped by length.

    Within a window of batches examples are sorted by length, to pad less; then the batches are shuffled.
    """
    rng = np.random.default_rng(params.seed)
    total = params.steps(len(lengths)) * params.batch_size
    epochs = math.ceil(total / len(lengths))
    stream = np.concatenate([rng.permutation(len(lengths)) for _ in range(epochs)])[:total]
    length = np.asarray(lengths)
    windows = []
    for start in range(0, total, WINDOW * params.batch_size):
        window = stream[start : start + WINDOW * params.batch_size]
        batches = window[np.argsort(length[window], kind="stable")].reshape(-1, params.batch_size)
        windows.append(rng.permutation(batches).ravel())
    return np.concatenate(windows).tolist()


def train(
    section: str,
    objective: Objective,
    examples: Examples,
    params: Training,
    work: Path,
    projector_rate: float | None = None,
    collator: Callable[[Sequence[Example]], dict[str, Tensor]] = collate,
    on_step: Callable[[int], object] | None = None,
) -> list[float]:
    """Train the weights with `requires_grad`, which must be float32, in place; returns the loss of each step.

    Resumes from the last checkpoint in `work`. `section` is the one of params.yaml that errors name. `collator` makes the
    inputs of the objective's `forward`. `on_step` is called with the number of each finished step, before its checkpoint is
    written: a resumed training repeats the calls after its checkpoint. A GPU that multiplies bfloat16 computes in it under
    autocast, a CPU in float32. ValueError when a loss is not finite or the model cannot be sharded, OSError when the disk has
    no room for the checkpoints.
    """
    if not params.steps(len(examples)):
        return []
    order = training_order(examples.lengths, params)
    layers = None
    if isinstance(objective, CausalLMObjective):
        if load_runtime().recompute:
            objective.vlm.model.language_model.activation_checkpointing_enable({"use_reentrant": False})
        if sharded():
            layers, objective.projector_always_used = layers_to_shard(objective.vlm, section), True
    arguments = training_arguments(section, params, len(order) // params.batch_size, work, layers)
    trainer = LlavaTrainer(
        objective,
        arguments,
        train_dataset=OrderedDataset(examples, order),
        data_collator=collator,
        callbacks=[ProgressCallback(section, params.batch_size, on_step)],
    )
    if layers and not trainer.is_fsdp_enabled:
        raise ValueError("SYNTHPAIRS_FSDP=on: accelerate shards no model on this kind of device; it needs GPUs")
    trainer.projector_rate = projector_rate
    trainer.remove_callback(PrinterCallback)
    checkpoint = checkpoint_to_resume(work)
    if is_main_process():
        check_disk_space(work, objective, checkpoints=2 if checkpoint is None else 1)
    if checkpoint:
        log.info("resuming from step %s of %d", checkpoint.name.removeprefix("checkpoint-"), arguments.max_steps)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if layers:
        gather(objective)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def run_training(
    section: str,
    objective: Objective,
    examples: Examples,
    params: Training,
    vlm: Vlm,
    write: Callable[[Path], None],
    out: Path,
    *,
    resampler: Resampler | None = None,
    pretrained: Path | None = None,
    projector_rate: float | None = None,
    collator: Callable[[Sequence[Example]], dict[str, Tensor]] = collate,
    on_step: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Train in a work store keyed by all inputs, then move what `write` wrote to `out`; returns metrics.

    A killed run resumes from the store's checkpoint. `vlm`, `resampler` and the projector in `pretrained` are what the model
    was made of. Every process trains, the first one writes.
    """
    parts = [part_identity(name, key) for key, name in part_names(vlm, resampler).items()]
    parts += [file_sha256(pretrained)] if pretrained else []
    sections = [asdict(values) for values in (vlm, params, resampler) if values]
    store = WorkStore(section, digest(sections, parts, fingerprint(examples)))
    with store.locked() if is_main_process() else contextlib.nullcontext():
        losses = train(section, objective, examples, params, store.path, projector_rate, collator, on_step)
        if is_main_process():
            finished = store.path / "finished"
            shutil.rmtree(finished, ignore_errors=True)
            write(finished)
            shutil.rmtree(out, ignore_errors=True)
            out.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(finished, out)
            store.discard()
    log_curve("loss", losses)
    return _metrics(examples, params, losses)


def _metrics(examples: Examples, params: Training, losses: Sequence[float]) -> dict[str, Any]:
    if not losses:
        return {"pairs": len(examples), "steps": 0}
    lengths, learnt = examples.lengths, examples.learnt
    order = training_order(lengths, params)
    tenth = max(1, len(losses) // 10)  # single batches are too noisy to compare
    return {
        "pairs": len(examples),
        "steps": len(losses),
        "epochs": round(len(order) / len(examples), 3),
        "tokens": sum(lengths[index] for index in order),
        "tokens_learnt": sum(learnt[index] for index in order),
        "loss_first": round(sum(losses[:tenth]) / tenth, 3),
        "loss_last": round(sum(losses[-tenth:]) / tenth, 3),
    }
