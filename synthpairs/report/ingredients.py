"""What a run was made of: models with their revisions, files with their licences; for dataset card and report."""

from collections.abc import Iterable, Mapping
from typing import Any

from synthpairs.captions.params import CaptionParams
from synthpairs.core.assets import model_package
from synthpairs.core.markdown import code, literal, markdown_table
from synthpairs.models.hub import UNKNOWN
from synthpairs.models.language.params import GgufSource
from synthpairs.vlm.params import Vlm

MODELS = "models of the hub, by their cards"
LLM = "models/llm"  # where stage `language_model` unpacks a package


def made_of(
    captions: CaptionParams, language_model: GgufSource, generator: Mapping[str, Any], scorer: Mapping[str, Any]
) -> dict[str, str]:
    """Models and settings by step, as code or text of Markdown; `generator` is generator.json, `scorer` scorer.json."""
    inputs, clip, ssim = generator["inputs"], scorer["inputs"]["clip"], scorer["inputs"]["ssim"]
    made = {"caption filters": "; ".join(_filters(captions))}
    if captions.generated.per_concept:
        made["captions written by"] = code(captions.llm)
    made["generator"] = f"{code(inputs['model'])} ({inputs['pipeline']}), fingerprint {code(generator['fingerprint'])}"
    if refiner := inputs.get("refiner"):
        made["refiner"] = f"{code(refiner['model'])}, after {refiner['base_share']:.0%} of the steps"
    if vae := inputs.get("vae"):
        made["autoencoder"] = code(vae["model"])
    if lora := inputs.get("lora"):
        made["LoRA"] = f"{code(lora['model'])} {lora['file']}, scale {lora['scale']:g}"
    quality = f"quality {inputs['quality']}" if "quality" in inputs else "lossless"
    made |= {
        "sampling": f"{inputs['scheduler']['class']}, {inputs['steps']} steps, guidance {inputs['guidance']}",
        "image": f"{inputs['side']} x {inputs['side']} pixels, {inputs['format'].upper()}, {quality}",
        "CLIP": f"{code(clip['clip'])} {clip['pretrained'] or ''}".strip() + f", prefix {clip['prefix']!r}",
        "SSIM": f"{ssim['resize_to'] or inputs['side']} -> {ssim['downscale_to']} -> back, {ssim['kernel']}, {ssim['window']}, "
        f"{ssim['colour']}",
    }
    return made | _unpacked(made, language_model)


def _unpacked(made: Mapping[str, str], source: GgufSource) -> dict[str, str]:
    """Where the model in LLM comes from, if anything was made with it; the package is of PyPI, as all of `models` are."""
    if not any(code(LLM) in value for value in made.values()):
        return {}
    package = model_package(source.package, "language_model.package")
    origin = f"{code(source.file)} of the package {code(package.package)} {package.version} on PyPI, {package.licence}"
    return {code(LLM): origin}


def section(
    captions: CaptionParams,
    language_model: GgufSource,
    vlm: Vlm,
    generator: Mapping[str, Any],
    scorer: Mapping[str, Any],
    *metrics: Mapping[str, Any],
) -> str:
    """The report's section; `metrics` are of the stages that record hub models.

    Models without a revision are of this project or of its packages.
    """
    trained = {"vision tower": vlm.vision_tower, "language model": vlm.llm, "LoRA adapter": vlm.adapter}
    rows = made_of(captions, language_model, generator, scorer)
    rows |= {name: code(model) for name, model in trained.items() if model}
    rows |= _unpacked(rows, language_model)
    records = [record for stage in metrics for record in stage.get("hub", {}).values()]
    models = generator.get("licences", {}) | {record["model"]: record.get("licence", UNKNOWN) for record in records}
    known = licences(captions, (source.name for source in captions.sources))
    tables = [markdown_table(("what", "value"), rows.items()), licences_table(known), licences_table(models, MODELS)]
    return "\n\n".join(["## What it was made of", *filter(None, tables)])


def licences(captions: CaptionParams, names: Iterable[str]) -> dict[str, str]:
    """Licences of files of captions, by the `source` of their captions, as params.yaml states them."""
    stated = {source.name: source.licence for source in captions.sources}
    return {name: stated.get(name) or UNKNOWN for name in names}


def licences_table(known: Mapping[str, str], of: str = "captions from files") -> str:
    """Table of licences by name; empty without any."""
    rows = [(code(name), literal(licence)) for name, licence in known.items()]
    return markdown_table((of, "licence"), rows) if rows else ""


def _filters(captions: CaptionParams) -> list[str]:
    """The filters that ask a model, in their order."""
    perplexity = {"llm": captions.llm, "kenlm": captions.perplexity.kenlm}.get(captions.perplexity.engine)
    judge = {"llm": captions.llm, "server": captions.judge.server.model}.get(captions.judge.engine)
    clip = " ".join(filter(None, (captions.clip, captions.pretrained)))
    asked = {
        "perplexity by": perplexity,
        "judged by": judge,
        "image-text matching by": captions.blip and captions.blip.model,
        f"of those with an image the {captions.limits.clip_top_share:.0%} of highest cosine by": clip,
    }
    return ["rules about the text", *(f"{what} {code(model)}" for what, model in asked.items() if model)]
