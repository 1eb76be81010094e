"""The two trainings of LLaVA-1.5: first the projector alone on captions, then projector and language model on instructions."""

import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration

from synthpairs.params import Within
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256
from synthpairs.vlm.examples import IGNORED, Example, caption_examples, fingerprint, instruction_examples
from synthpairs.vlm.model import Vlm, assemble, save, seeded
from synthpairs.vlm.training import Training, order, train
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
    model.requires_grad_(False)
    model.model.multi_modal_projector.requires_grad_(True)
    examples, skipped = caption_examples(pairs, processor, params.max_tokens)
    _check_skipped(skipped, len(examples), params, "align")
    moments = None if params.start is None else Moments.of(model, examples)
    start = {} if params.start is None or moments is None else fit_projector(model, moments, params.start)

    def write(directory: Path) -> None:
        directory.mkdir()
        if moments is not None:
            moments.save(directory / MOMENTS)
        save_file(model.model.multi_modal_projector.state_dict(), directory / PROJECTOR)
        (directory / PROJECTOR).chmod(0o644)

    return _fit("align", model, examples, vlm, params, None, write, out) | {"start": start, "skipped": skipped}


def finetune(rows: pd.DataFrame, aligned: Path, vlm: Vlm, params: Finetune, out: Path) -> dict[str, Any]:
    """Train on rows of INSTRUCTIONS from the projector in `aligned`; write the whole model to `out`; returns metrics."""
    if not (aligned / PROJECTOR).exists():
        raise FileNotFoundError(f"{aligned / PROJECTOR} is missing: run `dvc repro align` first")
    model, processor = assemble(vlm)
    model.model.multi_modal_projector.load_state_dict(load_file(aligned / PROJECTOR))
    examples, skipped = instruction_examples(rows, processor, params.max_tokens)
    _check_skipped(skipped, len(examples), params, "finetune")
    start = {}
    if params.start is not None:
        if not (aligned / MOMENTS).exists():
            raise ValueError("params.yaml: finetune.start must be null unless align.start is given")
        start = fit_projector(model, Moments.read(aligned / MOMENTS) + Moments.of(model, examples), params.start)
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

    rate = params.projector_learning_rate
    return _fit("finetune", model, examples, vlm, params, aligned, write, out, rate) | {
        "start": start,
        "skipped": skipped,
    }


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
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear")
    with seeded(seed):
        model.model.language_model = get_peft_model(model.model.language_model, config)


def _check_skipped(skipped: dict[str, int], kept: int, params: Training, section: str) -> None:
    left_out = sum(skipped.values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in skipped.items() if count)
    if left_out:
        log.warning("%d of %d examples are left out: %s", left_out, kept + left_out, reasons)
    if not kept or left_out > params.max_skipped * (kept + left_out):
        raise ValueError(
            f"{left_out} of {kept + left_out} examples cannot be trained on ({reasons or 'there are none'}); params.yaml: "
            f"{section}.max_skipped allows a share of {params.max_skipped}, {section}.max_tokens is {params.max_tokens}"
        )


def _fit(
    stage: str,
    model: LlavaForConditionalGeneration,
    examples: Sequence[Example],
    vlm: Vlm,
    params: Training,
    aligned: Path | None,
    write: Callable[[Path], None],
    out: Path,
    projector_rate: float | None = None,
) -> dict[str, Any]:
    """Train in a work store of these very inputs, params and code, then move what `write` wrote to `out`.

    `projector_rate`: the projector's highest learning rate; None: that of the rest.
    """
    parts = [file_sha256(Path(part)) for part in (vlm.eye, vlm.llm, vlm.adapter, aligned) if part]
    code = [file_sha256(file) for file in sorted(Path(__file__).parent.glob("*.py"))]
    store = WorkStore(stage, digest(asdict(vlm), asdict(params), parts, fingerprint(examples), code))
    with store.locked():
        losses = train(model, examples, params, store.path, projector_rate)
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
