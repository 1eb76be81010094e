"""The two trainings of LLaVA-1.5: first the projector alone on captions, then projector and language model on instructions."""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from synthpairs.params import Within
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256
from synthpairs.vlm.examples import IGNORED, Example, caption_examples, collate, fingerprint, instruction_examples
from synthpairs.vlm.model import Resampler, Vlm, assemble, save, seeded
from synthpairs.vlm.training import Learner, Trained, Training, order, train
from synthpairs.vlm.warmstart import ClosedForm, Moments, fit_projector

log = logging.getLogger(__name__)
PROJECTOR, MOMENTS = "projector.safetensors", "moments.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class Align(Training):
    """Section `align`: the projector learns to say pictures to the language model (LLaVA-1.5's pretraining)."""

    start: ClosedForm | None  # of the projector; null: a random one


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters on every linear layer of the language model, merged into it at the end."""

    rank: Annotated[int, Within(1, 4096)]
    alpha: Annotated[float, Within(0.001)]
    dropout: Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finetune(Training):
    """Section `finetune`: projector and language model learn to answer."""

    start: ClosedForm | None  # of the projector, from align's pairs and the answers here; null: as align left it
    projector_learning_rate: Annotated[float, Within(0, 1)] | None  # highest; null: as the language model's
    lora: Lora | None  # null: all of the language model's weights


def align(pairs: Iterable[tuple[str, str, Image.Image]], vlm: Vlm, params: Align, out: Path) -> dict[str, Any]:
    """Train the projector on (key, caption, picture) and write it to `out`, in float32; returns metrics."""
    model, processor = assemble(vlm)
    projector = only_projector(model)
    examples, skipped = caption_examples(pairs, processor, params.max_tokens)
    check_skipped(skipped, len(examples), params, "align")
    start, moments = {}, None
    if params.start is not None:
        moments = Moments.of(model, examples)
        start = fit_projector(model, moments, params.start, "align.start")

    def write(directory: Path) -> None:
        directory.mkdir()
        if moments is not None:
            moments.save(directory / MOMENTS)
        save_projector(projector, directory)

    metrics = fit("align", Learner(model), examples, (vlm, params), write, out)
    return metrics | {"start": start, "skipped": skipped}


def only_projector(model: LlavaForConditionalGeneration) -> nn.Module:
    """Freeze everything else; returns the projector."""
    model.requires_grad_(False)
    return model.model.multi_modal_projector.requires_grad_(True)


def save_projector(projector: nn.Module, directory: Path) -> None:
    """Write its weights as safetensors, for everyone to read."""
    save_file(projector.state_dict(), directory / PROJECTOR)
    (directory / PROJECTOR).chmod(0o644)


def finetune(
    rows: pd.DataFrame, aligned: Path, vlm: Vlm, params: Finetune, out: Path, resampler: Resampler | None = None
) -> dict[str, Any]:
    """Train on rows of INSTRUCTIONS from the projector in `aligned`; write the whole model to `out`; returns metrics."""
    if not (aligned / PROJECTOR).exists():
        raise FileNotFoundError(f"{aligned / PROJECTOR} is missing: run `dvc repro align` first")
    model, processor = assemble(vlm, resampler)
    model.model.multi_modal_projector.load_state_dict(load_file(aligned / PROJECTOR))
    examples, skipped = instruction_examples(rows, processor, params.max_tokens)
    check_skipped(skipped, len(examples), params, "finetune")
    start = {}
    if params.start is not None:
        if not (aligned / MOMENTS).exists():
            raise ValueError("params.yaml: finetune.start must be null unless align.start is given")
        moments = Moments.read(aligned / MOMENTS) + Moments.of(model, examples)
        start = fit_projector(model, moments, params.start, "finetune.start")
    model.model.vision_tower.requires_grad_(False)
    if params.lora:
        _adapt(model, params.lora, params.seed)
    else:
        model.model.language_model.float()  # the head shares the embedding's weights or is cast with it
        model.lm_head.float()

    def write(directory: Path) -> None:
        if params.lora:
            model.model.language_model = model.model.language_model.float().merge_and_unload()
        save(model, processor, directory)

    settings = (vlm, params) if resampler is None else (vlm, params, resampler)
    metrics = fit("finetune", Learner(model), examples, settings, write, out, aligned, params.projector_learning_rate)
    return metrics | {"start": start, "skipped": skipped}


def untrained(vlm: Vlm, out: Path) -> dict[str, int]:
    """Write the model as `align` finds it; returns counts: all parameters, the projector's, tokens that a picture takes."""
    model, processor = assemble(vlm)
    shutil.rmtree(out, ignore_errors=True)
    save(model, processor, out)
    return {
        "parameters": model.num_parameters(),
        "projector_parameters": sum(weight.numel() for weight in model.model.multi_modal_projector.parameters()),
        "picture_tokens": model.config.image_seq_length,
    }


def _adapt(model: LlavaForConditionalGeneration, lora: Lora, seed: int) -> None:
    model.lm_head.requires_grad_(False)
    from peft import LoraConfig, get_peft_model  # takes seconds to import

    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear")
    with seeded(seed):
        model.model.language_model = get_peft_model(model.model.language_model, config)


def check_skipped(skipped: dict[str, int], kept: int, params: Training, section: str) -> None:
    """Log what is left out; ValueError when that is more than `params` allow, or nothing is left."""
    left_out = sum(skipped.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in skipped.items() if count)
    if left_out:
        log.warning("%d of %d examples are left out: %s", left_out, kept + left_out, reasons)
    if not kept or left_out > params.max_skipped * (kept + left_out):
        raise ValueError(
            f"{left_out} of {kept + left_out} examples cannot be trained on ({reasons or 'there are none'}); params.yaml: "
            f"{section}.max_skipped allows a share of {params.max_skipped}, {section}.max_tokens is {params.max_tokens}"
        )


def fit(
    stage: str,
    learner: Trained,
    examples: Sequence[Example],
    settings: tuple[Vlm, Training] | tuple[Vlm, Training, Resampler],
    write: Callable[[Path], None],
    out: Path,
    aligned: Path | None = None,
    projector_rate: float | None = None,
    collator: Callable[[Sequence[Example]], dict[str, Tensor]] = collate,
    watch: Callable[[int], object] | None = None,
) -> dict[str, Any]:
    """Train in a work store of these very inputs, params and code, then move what `write` wrote to `out`.

    `projector_rate`: the projector's highest learning rate; None: that of the rest. `collator`, `watch`: see `train`.
    """
    vlm, params, *seeing = settings
    eye = [part.tokenizer for part in seeing] or [vlm.eye]
    parts = [file_sha256(Path(part)) for part in (*eye, vlm.llm, vlm.adapter, aligned) if part]
    code = [file_sha256(file) for file in sorted(Path(__file__).parent.glob("*.py"))]
    store = WorkStore(stage, digest([asdict(part) for part in settings], parts, fingerprint(examples), code))
    with store.locked():
        losses = train(learner, examples, params, store.path, projector_rate, collator, watch)
        finished = store.path / "finished"
        shutil.rmtree(finished, ignore_errors=True)
        write(finished)
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(finished, out)
        store.discard()
    if not losses:
        return {"pairs": len(examples), "steps": 0}
    seen = [examples[place] for place in order([len(example.ids) for example in examples], params)]
    tenth = max(1, len(losses) // 10)  # single batches are too noisy to compare
    return {
        "pairs": len(examples),
        "steps": len(losses),
        "epochs": round(len(seen) / len(examples), 3),
        "tokens": sum(len(example.ids) for example in seen),
        "tokens_learnt": sum(label != IGNORED for example in seen for label in example.labels),
        "loss_first": round(sum(losses[:tenth]) / tenth, 3),
        "loss_last": round(sum(losses[-tenth:]) / tenth, 3),
    }
