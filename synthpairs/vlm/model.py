"""LLaVA's architecture from three parts: a vision tower, a projector, a language model.

The result is transformers' own LlavaForConditionalGeneration, so whatever takes LLaVA takes it: `from_pretrained`, lm-eval's
`hf-multimodal`, a server. One picture becomes (side / patch)^2 tokens, one more with the class token (LLaVA-1.5: features of
the last but one layer, patches only). On the Synth2 route the vision tower is a VQ tokenizer and the projector a Perceiver
Resampler (`synthpairs.vlm.vq_tower`).
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoProcessor,
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessor,
    LlavaProcessor,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from synthpairs.core.determinism import best_device, cast_for_compute
from synthpairs.models.hub import with_licences
from synthpairs.vlm.params import Resampler, Vlm
from synthpairs.vlm.parts import load_clip_tower, load_llm, load_text_tokenizer, part_record, round_weights

IMAGE_TOKEN = "<image>"
# The picture comes first, on a line of its own, whatever the spaces around the placeholder: a benchmark's
# "<image>\nWhat is this?" and "<image> What is this?" give one prompt. ChatML's has no system prompt: it would double the length
# of desk conversations. Vicuna's has LLaVA's, and a space after the image: LLaVA tokenises what follows an image by itself,
# which begins with SentencePiece's mark.
_CONTENT = (
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] | trim }}{% endfor %}{% endif %}"
)
_VICUNA_SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions. "
)
TEMPLATES = {
    "chatml": (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + _CONTENT + "<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "vicuna": (
        _VICUNA_SYSTEM +
        "{% for message in messages %}{{ message['role'] | upper }}: " + _CONTENT.replace("<image>", "<image> ") +
        "{{ eos_token if message['role'] == 'assistant' else ' ' }}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    ),
}  # fmt: skip


def part_names(vlm: Vlm, resampler: Resampler | None = None) -> dict[str, str]:
    """Names of the model's parts by their params' keys, the vision tower first."""
    tower = (
        {"vlm.vision_tower": vlm.vision_tower} if resampler is None else {"resampler.tokenizer": resampler.tokenizer}
    )
    return tower | {"vlm.llm": vlm.llm} | ({"vlm.adapter": vlm.adapter} if vlm.adapter else {})


def hub_parts(vlm: Vlm, resampler: Resampler | None = None) -> dict[str, Any]:
    """Metrics that record the hub models among the parts: `hub`, by key; nothing when all parts are directories."""
    records = with_licences({key: part_record(name, key) for key, name in part_names(vlm, resampler).items()})
    return {"hub": records} if records else {}


def assemble(vlm: Vlm, resampler: Resampler | None = None) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The model with a random projector (float32, torch's own initialisation, as LLaVA's) and its processor, on the CPU.

    Vision tower and language model are read as bfloat16, in which they are finally stored, and held in `compute_dtype`: float32
    on a CPU. Trainings cast what they train to float32. With a `resampler` the vision tower is its VQ tokenizer, in float32,
    and `vlm.vision_tower` is not used. FileNotFoundError or ValueError names the param that is wrong.
    """
    transformers_logging.disable_progress_bar()
    llm = load_llm(vlm.llm, vlm.num_hidden_layers, vlm.adapter)
    tokenizer = load_text_tokenizer(vlm.llm, vlm.image_token, IMAGE_TOKEN)
    tokenizer.model_max_length = llm.config.max_position_embeddings
    if len(tokenizer) > llm.config.vocab_size:
        with seeded(vlm.seed):  # the new row is drawn from the distribution of the others
            llm.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)
    if resampler is None:
        tower, settings = _clip_tower(vlm)
    else:
        from synthpairs.vlm.vq_tower import load_vq_tower  # diffusers takes seconds to import

        tower = load_vq_tower(resampler)
        settings = _vq_processing(tower.config.side, tower.config.pixel_range, resampler.num_latents)
    if vlm.image_aspect_ratio == "pad":  # to a square of the mean colour (LLaVA-1.5's image_aspect_ratio: pad)
        cropping = settings["image_processor"].to_dict()
        names = ("size", "crop_size", "resample", "image_mean", "image_std")
        settings["image_processor"] = LlavaImageProcessor(do_pad=True, **{name: cropping[name] for name in names})
    processor = LlavaProcessor(tokenizer=tokenizer, chat_template=TEMPLATES[vlm.chat_template], **settings)
    return cast_for_compute(_join(tower, llm, processor, vlm)), processor


def _clip_tower(vlm: Vlm) -> tuple[CLIPVisionModel, dict[str, Any]]:
    """The vision tower of `vlm.vision_tower` and the processor's settings for it."""
    tower, image_processor = load_clip_tower(vlm.vision_tower)
    layers = tower.config.num_hidden_layers
    if not -layers - 1 <= (layer := vlm.vision_feature_layer) <= layers:
        limits = f"must be from {-layers - 1} to {layers} for {vlm.vision_tower}, got {layer}"
        raise ValueError(f"params.yaml: vlm.vision_feature_layer {limits}")
    return tower, {
        "image_processor": image_processor,
        "patch_size": tower.config.patch_size,
        "vision_feature_select_strategy": vlm.vision_feature_select,
        "num_additional_image_tokens": 1,  # the class token, which "default" takes off again
    }


def _vq_processing(side: int, pixel_range: tuple[float, float], latents: int) -> dict[str, Any]:
    """The processor's settings for a VQ tokenizer: one patch is the whole picture, further latents are additional tokens."""
    square, (low, high) = {"height": side, "width": side}, pixel_range
    return {
        "image_processor": CLIPImageProcessor(size={"shortest_edge": side}, crop_size=square, resample=3,
                                              image_mean=[low / (low - high)] * 3, image_std=[1 / (high - low)] * 3),
        "patch_size": side,
        "vision_feature_select_strategy": "full",
        "num_additional_image_tokens": latents - 1,
    }  # fmt: skip


def _join(
    tower: PreTrainedModel, llm: PreTrainedModel, processor: LlavaProcessor, vlm: Vlm
) -> LlavaForConditionalGeneration:
    tower.config.name_or_path = llm.config.name_or_path = ""  # paths would make equal models differ
    config = LlavaConfig(
        vision_config=tower.config,
        text_config=llm.config,
        image_token_index=processor.image_token_id,
        image_seq_length=picture_tokens(processor),
        vision_feature_select_strategy=processor.vision_feature_select_strategy,
        vision_feature_layer=vlm.vision_feature_layer if isinstance(tower, CLIPVisionModel) else -1,
        tie_word_embeddings=llm.config.tie_word_embeddings,
        dtype=torch.bfloat16,
    )
    model_class = _model_class(tower.config.model_type)
    with torch.device("meta"):
        model = model_class(config)
    model.model.vision_tower = tower
    model.model.language_model = llm.base_model
    model.lm_head = llm.get_output_embeddings()
    with seeded(vlm.seed):
        model.model.multi_modal_projector = type(model.model.multi_modal_projector)(config)
    model.generation_config = llm.generation_config
    return model.eval()


def _model_class(tower_type: str) -> type[LlavaForConditionalGeneration]:
    if tower_type == CLIPVisionConfig.model_type:
        return LlavaForConditionalGeneration
    from synthpairs.vlm.vq_tower import VqLlava  # importing it also registers its vision tower with transformers

    return VqLlava


def picture_tokens(processor: LlavaProcessor) -> int:
    """Number of language model tokens per picture."""
    side = processor.image_processor.crop_size["height"]
    tokens = (side // processor.patch_size) ** 2 + processor.num_additional_image_tokens
    return tokens - (processor.vision_feature_select_strategy == "default")


def save(model: LlavaForConditionalGeneration, processor: LlavaProcessor, directory: Path) -> None:
    """Write model and processor; casts the model to bfloat16, a VQ vision tower aside. Equal weights give equal bytes.

    With a CLIP tower the files are laid out as llava-hf/llava-1.5-7b-hf's, which transformers 4 reads too; left to itself,
    transformers 5 writes names for which transformers 4 warns and takes a random vision tower.
    """
    in_float32 = tuple(f"model.{part}" for part in model._keep_in_fp32_modules_strict or ())
    round_weights(weight for name, weight in model.named_parameters() if not name.startswith(in_float32))
    weights, clip = model.state_dict(), isinstance(model.model.vision_tower, CLIPVisionModel)
    if clip:  # `save_pretrained` gives all other names as in that checkpoint
        tower = "model.vision_tower."
        weights = {name.replace(tower, f"{tower}vision_model."): weight for name, weight in weights.items()}
    model.save_pretrained(directory, state_dict=weights)
    processor.save_pretrained(directory)
    if clip:
        _rewrite_configs(directory)
    for file in directory.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes for the owner alone, and a DVC cache may be shared


def _rewrite_configs(directory: Path) -> None:
    """Put what transformers 5 has written to the JSON files where transformers 4 looks for it."""
    config, processing, tokenizer = (
        json.loads((directory / f"{name}.json").read_text("utf-8"))
        for name in ("config", "processor_config", "tokenizer_config")
    )
    text = config["text_config"]
    if "rope_theta" in (rope := text.get("rope_parameters") or {}):  # else there is none, or it differs by layer
        del text["rope_parameters"]
        text |= {key: rope.pop(key) for key in ("rope_theta", "partial_rotary_factor") if key in rope}
        text["rope_scaling"] = None if rope == {"rope_type": "default"} else rope
    image_processing = processing.pop("image_processor") | {"processor_class": processing["processor_class"]}
    image_processing["image_processor_type"] += "Fast"  # transformers 4's name of the one that resizes with torchvision
    # Every tokenizer is read from tokenizer.json as it is; without names transformers 4 returns `token_type_ids` as well.
    tokenizer |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]}
    if isinstance(tokenizer.get("extra_special_tokens"), list):
        tokenizer["additional_special_tokens"] = tokenizer.pop("extra_special_tokens")
    written = {"config": config, "processor_config": processing, "preprocessor_config": image_processing,
               "tokenizer_config": tokenizer}  # fmt: skip
    for name, values in written.items():
        (directory / f"{name}.json").write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf-8")


def load(directory: str | Path) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A saved model in evaluation mode and `compute_dtype`, on the accelerator if there is one, and its processor."""
    path = Path(directory)
    if not (path / "config.json").exists():
        raise FileNotFoundError(f"{path} holds no vision-language model: run `dvc repro finetune untrained` first")
    transformers_logging.disable_progress_bar()
    model_class = _model_class(json.loads((path / "config.json").read_text())["vision_config"]["model_type"])
    model, report = model_class.from_pretrained(
        path, dtype="auto", use_safetensors=True, local_files_only=True, output_loading_info=True
    )
    if names := sorted({*report["missing_keys"], *report["unexpected_keys"]}):  # transformers only warns
        raise ValueError(f"{path} has other weights than its model, first {names[0]}: run `dvc repro` to make it again")
    return cast_for_compute(model).eval().to(best_device()), AutoProcessor.from_pretrained(path, local_files_only=True)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator in here, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def write_untrained(vlm: Vlm, out: Path) -> dict[str, Any]:
    """Write the model before any training; returns counts: all parameters, the projector's, tokens per picture."""
    model, processor = assemble(vlm)
    shutil.rmtree(out, ignore_errors=True)
    save(model, processor, out)
    return {
        "parameters": model.num_parameters(),
        "projector_parameters": sum(weight.numel() for weight in model.model.multi_modal_projector.parameters()),
        "picture_tokens": model.config.image_seq_length,
    } | hub_parts(vlm)
