"""Pretraining of LLaVA-1.5: the projector alone, on captions (stage 1 of arXiv 2304.08485)."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn
from transformers import LlavaForConditionalGeneration

from synthpairs.vlm.examples import caption_examples, check_skipped, example_store
from synthpairs.vlm.model import assemble, hub_parts
from synthpairs.vlm.params import Pretrain, Vlm
from synthpairs.vlm.pictures import Source
from synthpairs.vlm.projector_init import SufficientStats, fit_projector
from synthpairs.vlm.training import CausalLMObjective, run_training

PROJECTOR, STATS = "projector.safetensors", "moments.safetensors"


def pretrain(pairs: Iterable[tuple[str, str, Source]], vlm: Vlm, params: Pretrain, out: Path) -> dict[str, Any]:
    """Train the projector on (key, caption, picture) and write it to `out`, in float32; returns metrics."""
    section = "pretrain"
    model, processor = assemble(vlm)
    projector = only_projector(model)
    with example_store("pretrain") as store:
        examples, skipped = caption_examples(pairs, processor, params.max_length, store)
    check_skipped(skipped, len(examples), params, section)
    start: dict[str, float | None] = {}
    stats = None
    if params.projector_init is not None:
        stats = SufficientStats.of(model, examples)
        start = fit_projector(model, stats, params.projector_init, section)

    def write(directory: Path) -> None:
        directory.mkdir()
        if stats is not None:
            stats.save(directory / STATS)
        save_projector(projector, directory)

    metrics = run_training(section, CausalLMObjective(model), examples, params, vlm, write, out)
    return metrics | {"start": start, "skipped": skipped} | hub_parts(vlm)


def only_projector(model: LlavaForConditionalGeneration) -> nn.Module:
    """Freeze everything but the projector; returns the projector."""
    model.requires_grad_(False)
    return model.model.multi_modal_projector.requires_grad_(True)


def save_projector(projector: nn.Module, directory: Path) -> None:
    """Write the projector's weights as safetensors that everyone can read."""
    save_file(projector.state_dict(), directory / PROJECTOR)
    (directory / PROJECTOR).chmod(0o644)
