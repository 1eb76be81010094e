"""Training with the HF Trainer: examples in an order fixed in advance, exact resumption, equal weights from equal runs."""

import logging
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import LlavaForConditionalGeneration, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from synthpairs.core.determinism import compute_dtype
from synthpairs.runtime.launch import beside, leads, processes, switched_on
from synthpairs.vlm.checkpoints import check_room, checkpoint_to_resume
from synthpairs.vlm.examples import IGNORED, Example, Examples, collate
from synthpairs.vlm.params import Training
from synthpairs.vlm.sharding import gather, layers_to_shard, sharded
from synthpairs.vlm.trainer import LlavaTrainer, OrderedDataset, Progress

log = logging.getLogger(__name__)
WINDOW = 16  # batches whose examples are sorted by length together; more would pad less and mix less


class Trained(nn.Module):
    """A model as the Trainer sees it: `forward` gives the loss, and its state is only what it trains.

    So checkpoints hold no frozen weights.
    """

    accepts_loss_kwargs = True

    def __init__(self, vlm: LlavaForConditionalGeneration) -> None:
        super().__init__()
        self.vlm = vlm

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """The trained tensors by name; tied ones once."""
        return {name: weight.detach() for name, weight in self.named_parameters() if weight.requires_grad}

    def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
        """Take over what `state_dict` gave; ValueError when that is of another model."""
        if state_dict.keys() != self.state_dict().keys():
            raise ValueError("the checkpoint is of another model; delete it and run the command again")
        result = super().load_state_dict(state_dict, strict=False, assign=assign)
        result.missing_keys.clear()  # the frozen weights, which are in place
        return result


class Learner(Trained):
    """Causal-LM objective: cross-entropy on the labelled tokens.

    The language model's head, a fifth of a step at 49,152 tokens, runs only where there is a label.
    """

    all_take_part = False  # whether the projector must have a gradient, be it 0, from examples without pictures

    def __init__(self, vlm: LlavaForConditionalGeneration) -> None:
        super().__init__(vlm)
        if not torch.cuda.is_available():
            # Backward through the fused kernel takes a quarter of a step of 40 tokens on a CPU, plain products next to nothing.
            vlm.model.language_model.set_attn_implementation("eager")

    def recompute(self) -> None:
        """Hold no activations within the language model's layers: they are computed again on the way back."""
        self.vlm.model.language_model.activation_checkpointing_enable({"use_reentrant": False})

    def forward(
        self,
        input_ids: Tensor,
        labels: Tensor,
        pixel_values: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> dict[str, Tensor]:
        """Cross-entropy over the labelled tokens: its sum divided by `num_items_in_batch`, all labels of the step."""
        hidden = self.vlm.model(input_ids=input_ids, pixel_values=pixel_values, use_cache=False).last_hidden_state
        learnt = labels[:, 1:] != IGNORED
        logits = self.vlm.lm_head(hidden[:, :-1][learnt])
        loss = F.cross_entropy(logits.float(), labels[:, 1:][learnt], reduction="sum")
        if self.all_take_part and pixel_values is None:
            loss = loss + 0.0 * sum(weight.sum() for weight in self.vlm.model.multi_modal_projector.parameters())
        return {"loss": loss / (learnt.sum() if num_items_in_batch is None else num_items_in_batch)}


def order(lengths: Sequence[int], training: Training) -> list[int]:
    """The examples in the order they are trained on, `batch` for each step: shuffled passes, grouped by length.

    Within a window of batches examples are sorted by length, to pad less; then the batches are shuffled, so that length
    goes up and down at random.
    """
    rng = np.random.default_rng(training.seed)
    total = training.steps(len(lengths)) * training.batch
    passes = math.ceil(total / len(lengths))
    stream = np.concatenate([rng.permutation(len(lengths)) for _ in range(passes)])[:total]
    length = np.asarray(lengths)
    placed = []
    for start in range(0, total, WINDOW * training.batch):
        window = stream[start : start + WINDOW * training.batch]
        batches = window[np.argsort(length[window], kind="stable")].reshape(-1, training.batch)
        placed.append(rng.permutation(batches).ravel())
    return [int(place) for place in np.concatenate(placed)]


def train(
    learner: Trained,
    examples: Examples,
    training: Training,
    work: Path,
    projector_rate: float | None = None,
    collator: Callable[[Sequence[Example]], dict[str, Tensor]] = collate,
    watch: Callable[[int], object] | None = None,
) -> list[float]:
    """Train what `requires_grad` in place and return each step's loss; goes on from the last checkpoint in `work`.

    `collator` makes of a batch what the learner's `forward` takes. `watch` is called with the number of every step that is
    done, before its checkpoint is written, so a resumed training calls it for all that the checkpoint does not hold.
    Trained weights must be float32; a GPU that multiplies bfloat16 computes in it under autocast, a CPU in float32. ValueError
    when a loss is not finite or the model cannot be divided, OSError when the disk has no room for the checkpoints.
    """
    if not training.steps(len(examples)):
        return []
    places = order(examples.lengths, training)
    layers = None
    if isinstance(learner, Learner):
        if switched_on("SYNTHPAIRS_RECOMPUTE"):
            learner.recompute()
        if sharded():
            layers, learner.all_take_part = layers_to_shard(learner.vlm), True
    arguments = _arguments(training, len(places) // training.batch, work, layers)
    dataset, progress = OrderedDataset(examples, places), Progress(training.batch, watch)
    trainer = LlavaTrainer(learner, arguments, train_dataset=dataset, data_collator=collator, callbacks=[progress])
    if layers and not trainer.is_fsdp_enabled:
        raise ValueError("SYNTHPAIRS_FSDP=on: accelerate divides no model on this kind of device; it takes GPUs")
    trainer.projector_rate = projector_rate
    trainer.remove_callback(PrinterCallback)
    checkpoint = checkpoint_to_resume(work)
    if leads():
        check_room(work, learner, checkpoints=2 if checkpoint is None else 1)
    if checkpoint:
        log.info("resuming from step %s of %d", checkpoint.name.removeprefix("checkpoint-"), arguments.max_steps)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if layers:
        gather(learner)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _arguments(training: Training, steps: int, work: Path, layers: list[str] | None) -> TrainingArguments:
    """The Trainer's settings; `layers` are divided among the processes. ValueError when `batch` cannot be divided."""
    cuda, count = torch.cuda.is_available(), processes()
    if training.batch % (training.micro_batch * count):
        raise ValueError(
            f"params.yaml: batch must be a multiple of micro_batch x processes, got {training.batch} and "
            f"{training.micro_batch} x {count} ({type(training).__name__.lower()})"
        )
    shards = {"transformer_layer_cls_to_wrap": layers, "state_dict_type": "SHARDED_STATE_DICT"} if layers else None
    arguments = TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=training.micro_batch,
        gradient_accumulation_steps=training.batch // (training.micro_batch * count),
        max_steps=steps,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        lr_scheduler_type="cosine",
        warmup_steps=math.ceil(training.warmup * steps),
        bf16=compute_dtype() == torch.bfloat16,
        use_cpu=not cuda,
        ddp_backend="gloo" if count > 1 and not cuda else None,
        fsdp=bool(layers),
        fsdp_config=shards,
        ddp_find_unused_parameters=True,  # a process whose examples have no pictures does not use the projector
        seed=training.seed,
        full_determinism=cuda,  # CPU kernels are deterministic as they are
        train_sampling_strategy="sequential",  # `places` is the order: the Trainer's own would depend on its generator
        save_steps=training.checkpoint_steps,
        save_total_limit=1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=cuda,
        dataloader_num_workers=min(8, (os.cpu_count() or 1) // beside()) if cuda else 0,  # make pixels meanwhile
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # the Trainer would spread a step over all visible devices
    return arguments
