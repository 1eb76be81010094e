"""The two trainings of LLaVA-1.5: first the projector alone on captions, then projector and language model on instructions."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from safetensors.torch import save_file
from torch import nn
from transformers import LlavaForConditionalGeneration

from synthpairs.vlm.adapters import adapt, check_quantizer, merged
from synthpairs.vlm.conversations import read_conversations
from synthpairs.vlm.examples import caption_examples, conversation_examples, instruction_examples
from synthpairs.vlm.fitting import Fit, check_skipped, fit
from synthpairs.vlm.model import assemble, hub_parts, save
from synthpairs.vlm.params import Align, Finetune, Resampler, Vlm
from synthpairs.vlm.parts import load_projector
from synthpairs.vlm.pictures import Source
from synthpairs.vlm.training import Learner
from synthpairs.vlm.warmstart import Moments, fit_projector

PROJECTOR, MOMENTS = "projector.safetensors", "moments.safetensors"


def align(pairs: Iterable[tuple[str, str, Source]], vlm: Vlm, params: Align, out: Path) -> dict[str, Any]:
    """Train the projector on (key, caption, picture) and write it to `out`, in float32; returns metrics."""
    model, processor = assemble(vlm)
    projector = only_projector(model)
    examples, skipped = caption_examples(pairs, processor, params.max_tokens)
    check_skipped(skipped, len(examples), params, "align")
    start: dict[str, float | None] = {}
    moments = None
    if params.start is not None:
        moments = Moments.of(model, examples)
        start = fit_projector(model, moments, params.start, "align.start")

    def write(directory: Path) -> None:
        directory.mkdir()
        if moments is not None:
            moments.save(directory / MOMENTS)
        save_projector(projector, directory)

    metrics = fit(Fit(stage="align", learner=Learner(model), examples=examples, params=params, vlm=vlm), write, out)
    return metrics | {"start": start, "skipped": skipped} | hub_parts(vlm)


def only_projector(model: LlavaForConditionalGeneration) -> nn.Module:
    """Freeze everything else; returns the projector."""
    model.requires_grad_(False)
    return model.model.multi_modal_projector.requires_grad_(True)


def save_projector(projector: nn.Module, directory: Path) -> None:
    """Write its weights as safetensors, for everyone to read."""
    save_file(projector.state_dict(), directory / PROJECTOR)
    (directory / PROJECTOR).chmod(0o644)


def finetune(
    rows: pd.DataFrame | None, aligned: Path, vlm: Vlm, params: Finetune, out: Path, resampler: Resampler | None = None
) -> dict[str, Any]:
    """Train from the projector in `aligned`; write the whole model to `out`; returns metrics.

    Learnt from are `rows` of INSTRUCTIONS, or what `params.instructions` names.
    """
    if params.lora:
        check_quantizer(params.lora, "finetune")
    stage = "align" if resampler is None else "align-codes"
    if not (aligned / PROJECTOR).exists():
        raise FileNotFoundError(f"{aligned / PROJECTOR} is missing: run `dvc repro {stage}` first")
    model, processor = assemble(vlm, resampler)
    load_projector(model.model.multi_modal_projector, aligned / PROJECTOR, f"dvc repro {stage}")
    if params.instructions is None:
        assert rows is not None
        examples, skipped = instruction_examples(rows, processor, params.max_tokens)
    else:
        conversations = read_conversations(params.instructions)
        examples, skipped = conversation_examples(conversations, processor, params.max_tokens)
    check_skipped(skipped, len(examples), params, "finetune")
    start: dict[str, float | None] = {}
    if params.start is not None:
        if not (aligned / MOMENTS).exists():
            raise ValueError("params.yaml: finetune.start must be null unless align.start is given")
        moments = Moments.read(aligned / MOMENTS) + Moments.of(model, examples)
        start = fit_projector(model, moments, params.start, "finetune.start")
    model.model.vision_tower.requires_grad_(False)
    if params.lora:
        adapt(model, params.lora, params.seed)
    else:
        model.model.language_model.float()  # the head shares the embedding's weights or is cast with it
        model.lm_head.float()

    def write(directory: Path) -> None:
        whole = merged(model, params.lora, lambda: assemble(vlm, resampler)[0]) if params.lora else model
        save(whole, processor, directory)

    task = Fit(stage="finetune", learner=Learner(model), examples=examples, params=params, vlm=vlm, resampler=resampler,
               aligned=aligned, projector_rate=params.projector_learning_rate)  # fmt: skip
    metrics = fit(task, write, out)
    return metrics | {"start": start, "skipped": skipped} | hub_parts(vlm, resampler)


def untrained(vlm: Vlm, out: Path) -> dict[str, Any]:
    """Write the model as `align` finds it; returns counts: all parameters, the projector's, tokens that a picture takes."""
    model, processor = assemble(vlm)
    shutil.rmtree(out, ignore_errors=True)
    save(model, processor, out)
    return {
        "parameters": model.num_parameters(),
        "projector_parameters": sum(weight.numel() for weight in model.model.multi_modal_projector.parameters()),
        "picture_tokens": model.config.image_seq_length,
    } | hub_parts(vlm)
