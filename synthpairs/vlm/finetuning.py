"""Fine-tuning of LLaVA-1.5: projector and language model on instructions (stage 2 of arXiv 2304.08485)."""

from pathlib import Path
from typing import Any

import pandas as pd
from transformers import LlavaForConditionalGeneration

from synthpairs.vlm.adapters import adapt, check_quantizer, merged
from synthpairs.vlm.conversations import read_conversations
from synthpairs.vlm.examples import (
    check_skipped,
    conversation_examples,
    example_store,
    instruction_examples,
)
from synthpairs.vlm.model import assemble, hub_parts, save
from synthpairs.vlm.params import Finetune, Resampler, Vlm
from synthpairs.vlm.parts import load_projector
from synthpairs.vlm.pretraining import PROJECTOR, STATS
from synthpairs.vlm.projector_init import SufficientStats, fit_projector
from synthpairs.vlm.training import CausalLMObjective, run_training


def finetune(
    rows: pd.DataFrame | None,
    pretrained: Path,
    vlm: Vlm,
    params: Finetune,
    out: Path,
    resampler: Resampler | None = None,
) -> dict[str, Any]:
    """Instruction tuning from the projector in `pretrained`; writes the whole model to `out`; returns metrics.

    The data are `rows` of INSTRUCTIONS, or what `params.instructions` names.
    """
    section, stage = ("finetune", "pretrain") if resampler is None else ("finetune_tokens", "pretrain_tokens")
    if params.lora:
        check_quantizer(params.lora, section)
    if not (pretrained / PROJECTOR).exists():
        raise FileNotFoundError(f"{pretrained / PROJECTOR} is missing: run `dvc repro {stage}` first")
    model, processor = assemble(vlm, resampler)
    load_projector(model.model.multi_modal_projector, pretrained / PROJECTOR, f"dvc repro {stage}")
    with example_store("finetune") as store:
        if params.instructions is None:
            assert rows is not None
            examples, skipped = instruction_examples(rows, processor, params.max_length, store)
        else:
            conversations = read_conversations(params.instructions, section)
            examples, skipped = conversation_examples(conversations, processor, params.max_length, store)
    check_skipped(skipped, len(examples), params, section)
    start: dict[str, float | None] = {}
    if params.projector_init is not None:
        if not (pretrained / STATS).exists():
            raise ValueError(
                f"params.yaml: {section}.projector_init must be null unless pretrain.projector_init is given"
            )
        stats = SufficientStats.read(pretrained / STATS) + SufficientStats.of(model, examples)
        start = fit_projector(model, stats, params.projector_init, section)
    model.model.vision_tower.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(params.projector_learning_rate != 0)
    total = len(model.model.language_model.layers)
    last = total if params.trainable_layers is None else params.trainable_layers
    if last > total:
        limits = f"must be from 0 to {total}, all that the model has, or null"
        raise ValueError(f"params.yaml: {section}.trainable_layers {limits}, got {last}")
    layers = range(total - last, total)
    if params.lora and not layers:
        raise ValueError(
            f"params.yaml: {section}.lora must be null where {section}.trainable_layers is 0, got {params.lora}"
        )
    if not layers and params.projector_learning_rate == 0:
        raise ValueError(
            f"params.yaml: {section}: trainable_layers 0 and projector_learning_rate 0 leave nothing to train; set one to null"
        )
    if params.lora:
        adapt(model, params.lora, layers, params.seed)
    else:
        _unfreeze(model, params.trainable_layers)

    def write(directory: Path) -> None:
        whole = merged(model, params.lora, layers, lambda: assemble(vlm, resampler)[0]) if params.lora else model
        save(whole, processor, directory)

    metrics = run_training(section, CausalLMObjective(model), examples, params, vlm, write, out, resampler=resampler,
                           pretrained=pretrained, projector_rate=params.projector_learning_rate)  # fmt: skip
    return metrics | {"start": start, "skipped": skipped} | hub_parts(vlm, resampler)


def _unfreeze(model: LlavaForConditionalGeneration, count: int | None) -> None:
    """Make the last layers of the language model trainable, in float32, and freeze what is before them; None: train all."""
    llm = model.model.language_model
    if count is None:
        llm.float()  # the head shares the embedding's weights or is cast with it
        model.lm_head.float()
        return
    model.lm_head.requires_grad_(False)
    llm.requires_grad_(False)
    llm.layers[len(llm.layers) - count :].float().requires_grad_(True)
