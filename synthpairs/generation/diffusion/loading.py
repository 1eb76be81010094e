"""Loading of the pipeline with its optional parts: another autoencoder, LoRA, another scheduler, a refiner."""

import inspect
import json
from functools import partial
from typing import Any

import diffusers
import torch

from synthpairs.core.storage import file_sha256
from synthpairs.generation.diffusion.params import Images, LoraWeights, Refiner
from synthpairs.models.diffusion_pipeline import load_pipeline
from synthpairs.models.hub import fetch_model, model_folder

VAE_FILES = ("config.json", "diffusion_pytorch_model.safetensors")
SHARED = ("vae", "text_encoder_2")  # components that SDXL's refiner shares with its base


def load(params: Images) -> tuple[diffusers.DiffusionPipeline, diffusers.DiffusionPipeline | None, dict[str, Any]]:
    """The pipeline, its refiner if there is one, and the fingerprint's inputs of both, without keys for unused parts.

    ValueError or OSError when a part cannot be loaded or does not fit.
    """
    dtype = getattr(torch, params.dtype)
    components = {}
    inputs: dict[str, Any] = {}
    if params.vae is not None:
        components["vae"], inputs["vae"] = _vae(params.vae, dtype)
    pipeline, identity = load_pipeline(params.generator, "images.generator", dtype, components)
    if params.lora is not None:
        inputs["lora"] = _fuse_lora(params.lora, pipeline)
    _set_scheduler(pipeline, params)
    if params.refiner is None:
        return pipeline, None, identity | inputs
    refiner, inputs["refiner"] = _refiner(params.refiner, pipeline, dtype)
    _set_scheduler(refiner, params)
    inputs["refiner"] |= {"scheduler": scheduler_inputs(refiner), "base_share": params.refiner.base_share}
    return pipeline, refiner, identity | inputs


def scheduler_inputs(pipeline: diffusers.DiffusionPipeline) -> dict[str, Any]:
    """Class and settings of a pipeline's scheduler, as inputs of the fingerprint."""
    scheduler = pipeline.scheduler
    settings = {name: value for name, value in scheduler.config.items() if not name.startswith("_")}
    return {"class": type(scheduler).__name__} | json.loads(json.dumps(settings, default=str))


def _vae(name: str, dtype: torch.dtype) -> tuple[torch.nn.Module, dict[str, Any]]:
    folder = model_folder(name, "images.vae", partial(fetch_model, files=VAE_FILES))
    for file in VAE_FILES:
        if not (folder / file).is_file():
            raise FileNotFoundError(f"params.yaml: images.vae: {folder}/{file} is missing: it must be an autoencoder's")
    class_name = str(json.loads((folder / "config.json").read_text()).get("_class_name"))
    kind = getattr(diffusers, class_name, None)
    if kind is None or not class_name.startswith("Autoencoder"):
        raise ValueError(f"params.yaml: images.vae: {folder}/config.json: {class_name} is no autoencoder of diffusers")
    vae = kind.from_pretrained(folder, dtype=dtype, use_safetensors=True)
    return vae, {"model": name, "files": {file: file_sha256(folder / file) for file in VAE_FILES}}


def _fuse_lora(lora: LoraWeights, pipeline: diffusers.DiffusionPipeline) -> dict[str, Any]:
    """Fuse LoRA weights into the pipeline's own, so that they cost no time; returns their inputs of the fingerprint."""
    folder = model_folder(lora.model, "images.lora.model", partial(fetch_model, files=[lora.file]))
    path = folder / lora.file
    if not lora.file.endswith(".safetensors") or not path.is_file():
        raise FileNotFoundError(f"params.yaml: images.lora.file: {path} must be a .safetensors file that is there")
    if not hasattr(pipeline, "load_lora_weights"):
        raise ValueError(f"params.yaml: images.lora: {type(pipeline).__name__} takes no low-rank weights")
    try:
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="lora", use_safetensors=True)
    except (ValueError, LookupError, RuntimeError) as error:  # other layers, or layers of other sizes
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"params.yaml: images.lora: {path} does not fit {type(pipeline).__name__}: {reason}") from None
    if not pipeline.get_list_adapters():
        raise ValueError(f"params.yaml: images.lora: {path} names no layer of {type(pipeline).__name__}")
    pipeline.fuse_lora(components=pipeline._lora_loadable_modules, lora_scale=lora.scale)
    pipeline.unload_lora_weights()
    return {"model": lora.model, "file": lora.file, "sha256": file_sha256(path), "scale": lora.scale}


def _set_scheduler(pipeline: diffusers.DiffusionPipeline, params: Images) -> None:
    """Replace the scheduler by that of params; options that these leave out keep the values in the model's files."""
    if params.scheduler is None and params.scheduler_options is None:
        return
    kind = getattr(diffusers, params.scheduler) if params.scheduler else type(pipeline.scheduler)
    options = params.scheduler_options or {}
    known = list(inspect.signature(kind.__init__).parameters)[1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"params.yaml: images.scheduler_options.{unknown[0]} is no option of {kind.__name__}; it has {', '.join(known)}"
        )
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **options)


def _refiner(
    spec: Refiner, base: diffusers.DiffusionPipeline, dtype: torch.dtype
) -> tuple[diffusers.DiffusionPipeline, dict[str, Any]]:
    if not isinstance(base, diffusers.StableDiffusionXLPipeline) or base.vae.config.latent_channels != 4:
        raise ValueError(
            "params.yaml: images.refiner: only a StableDiffusionXLPipeline with latents of 4 channels can be refined, and "
            f"images.generator is a {type(base).__name__}"
        )
    refiner, identity = load_pipeline(
        spec.model, "images.refiner.model", dtype, {name: getattr(base, name) for name in SHARED}
    )
    if not isinstance(refiner, diffusers.StableDiffusionXLImg2ImgPipeline):
        raise ValueError(
            f"params.yaml: images.refiner.model: {type(refiner).__name__} is no StableDiffusionXLImg2ImgPipeline"
        )
    return refiner, {name: identity[name] for name in ("model", "files")}
