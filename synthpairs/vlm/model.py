"""LLaVA's architecture from three parts: a vision tower, a projector, a language model.

The parts are put into transformers' own LlavaForConditionalGeneration, so whatever takes LLaVA takes the result:
`from_pretrained`, lm-eval's `hf-multimodal`, a server. One picture becomes (side / patch)^2 tokens, and one more
if the eye's class token is kept (LLaVA-1.5: features of the last but one layer, patches only). On the Synth2 route the eye
is a VQ tokenizer and the projector a Perceiver Resampler (`synthpairs.vlm.codes`).
"""

import contextlib
import json
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

from synthpairs.core.determinism import best_device, computing
from synthpairs.vlm.params import Resampler, Vlm
from synthpairs.vlm.parts import load_clip, load_llm, load_words, part_record, round_weights

IMAGE_TOKEN = "<image>"
# A picture stands before the words, on a line of its own, however the words around the placeholder are spaced: a benchmark's
# "<image>\nWhat is this?" and "<image> What is this?" ask the same. No system prompt: it would double the length of desk
# conversations and says nothing about pictures.
_CONTENT = (
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] if part['type'] == 'image' %}<image>\n{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] | trim }}{% endfor %}{% endif %}"
)
TEMPLATES = {
    "chatml": (
        "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + _CONTENT + "<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "vicuna": (
        "{% for message in messages %}{{ message['role'] | upper }}: " + _CONTENT +
        "{{ eos_token if message['role'] == 'assistant' else ' ' }}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    ),
}  # fmt: skip


def part_names(vlm: Vlm, resampler: Resampler | None = None) -> dict[str, str]:
    """The names of the parts that a model is put together from, by the params' keys, the eye first."""
    eye = {"vlm.eye": vlm.eye} if resampler is None else {"resampler.tokenizer": resampler.tokenizer}
    return eye | {"vlm.llm": vlm.llm} | ({"vlm.adapter": vlm.adapter} if vlm.adapter else {})


def hub_parts(vlm: Vlm, resampler: Resampler | None = None) -> dict[str, Any]:
    """Metrics that say which models of the hub were used, nothing when all parts are directories: `hub`, by key."""
    records = {key: part_record(name, key) for key, name in part_names(vlm, resampler).items()}
    records = {key: record for key, record in records.items() if record}
    return {"hub": records} if records else {}


def assemble(vlm: Vlm, resampler: Resampler | None = None) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The model with a random projector (float32, torch's own initialisation, as LLaVA's) and its processor, on the CPU.

    The eye and the language model are read as bfloat16, what both are finally stored in, and are in `compute_dtype`: float32 on
    a CPU. A training turns what it trains to float32. With a `resampler` the eye is its VQ tokenizer, in float32, and `vlm.eye`
    counts for nothing.
    FileNotFoundError or ValueError names the param that is wrong.
    """
    transformers_logging.disable_progress_bar()
    llm = load_llm(vlm.llm, vlm.layers, vlm.adapter)
    tokenizer = load_words(vlm.llm, vlm.image_slot, IMAGE_TOKEN)
    tokenizer.model_max_length = llm.config.max_position_embeddings
    if len(tokenizer) > llm.config.vocab_size:
        with seeded(vlm.seed):  # the new row is drawn from the distribution of the others
            llm.resize_token_embeddings(len(tokenizer), pad_to_multiple_of=64)
    if resampler is None:
        eye, pixels = load_clip(vlm.eye)
        seeing = _clip_processing(eye, vlm) | {"image_processor": pixels}
    else:
        from synthpairs.vlm.codes import load_eye  # diffusers takes seconds to import

        eye = load_eye(resampler)
        seeing = _code_processing(eye.config.side, eye.config.pixel_range, resampler.latents)
    if vlm.aspect == "pad":
        seeing["image_processor"] = _padding(seeing["image_processor"])
    processor = LlavaProcessor(tokenizer=tokenizer, chat_template=TEMPLATES[vlm.chat], **seeing)
    return computing(_join(eye, llm, processor, vlm)), processor


def _clip_processing(eye: CLIPVisionModel, vlm: Vlm) -> dict[str, Any]:
    """What the processor must know of a CLIP eye."""
    layers = eye.config.num_hidden_layers
    if not -layers - 1 <= (layer := vlm.vision_feature_layer) <= layers:
        must = f"must be from {-layers - 1} to {layers} for {vlm.eye}, got {layer}"
        raise ValueError(f"params.yaml: vlm.vision_feature_layer {must}")
    return {
        "patch_size": eye.config.patch_size,
        "vision_feature_select_strategy": vlm.vision_feature_select,
        "num_additional_image_tokens": 1,  # the class token, which "default" takes off again
    }


def _code_processing(side: int, pixels: tuple[float, float], latents: int) -> dict[str, Any]:
    """The same of a VQ tokenizer, whose picture is one patch and as many further tokens as there are further latents."""
    square, (low, high) = {"height": side, "width": side}, pixels
    return {
        "image_processor": CLIPImageProcessor(size={"shortest_edge": side}, crop_size=square, resample=3,
                                              image_mean=[low / (low - high)] * 3, image_std=[1 / (high - low)] * 3),
        "patch_size": side,
        "vision_feature_select_strategy": "full",
        "num_additional_image_tokens": latents - 1,
    }  # fmt: skip


def _padding(cropping: CLIPImageProcessor) -> LlavaImageProcessor:
    """The same with a border that makes every picture square first (LLaVA-1.5's image_aspect_ratio: pad)."""
    names = ("size", "crop_size", "resample", "image_mean", "image_std")
    return LlavaImageProcessor(do_pad=True, **{name: cropping.to_dict()[name] for name in names})


def _join(
    eye: PreTrainedModel, llm: PreTrainedModel, processor: LlavaProcessor, vlm: Vlm
) -> LlavaForConditionalGeneration:
    eye.config.name_or_path = llm.config.name_or_path = ""  # where the parts lay is not part of what they are
    config = LlavaConfig(
        vision_config=eye.config,
        text_config=llm.config,
        image_token_index=processor.image_token_id,
        image_seq_length=picture_tokens(processor),
        vision_feature_select_strategy=processor.vision_feature_select_strategy,
        vision_feature_layer=vlm.vision_feature_layer if isinstance(eye, CLIPVisionModel) else -1,
        tie_word_embeddings=llm.config.tie_word_embeddings,
        dtype=torch.bfloat16,
    )
    kind = _kind(eye.config.model_type)
    with torch.device("meta"):
        model = kind(config)
    model.model.vision_tower = eye
    model.model.language_model = llm.base_model
    model.lm_head = llm.get_output_embeddings()
    with seeded(vlm.seed):
        model.model.multi_modal_projector = type(model.model.multi_modal_projector)(config)
    model.generation_config = llm.generation_config
    return model.eval()


def _kind(eye: str) -> type[LlavaForConditionalGeneration]:
    """Which class a model with an eye of this type is of."""
    if eye == CLIPVisionConfig.model_type:
        return LlavaForConditionalGeneration
    from synthpairs.vlm.codes import CodeLlava  # which also tells transformers of its eye

    return CodeLlava


def picture_tokens(processor: LlavaProcessor) -> int:
    """How many tokens one picture takes."""
    side = processor.image_processor.crop_size["height"]
    tokens = (side // processor.patch_size) ** 2 + processor.num_additional_image_tokens
    return tokens - (processor.vision_feature_select_strategy == "default")


def save(model: LlavaForConditionalGeneration, processor: LlavaProcessor, directory: Path) -> None:
    """Write the whole model in bfloat16, which it is turned to, with its processor; equal weights give equal bytes.

    An eye that is a VQ tokenizer stays in float32.
    """
    in_float32 = tuple(f"model.{part}" for part in model._keep_in_fp32_modules_strict or ())
    round_weights(weight for name, weight in model.named_parameters() if not name.startswith(in_float32))
    model.save_pretrained(directory)
    processor.save_pretrained(directory)
    for file in directory.glob("*.safetensors"):
        file.chmod(0o644)  # safetensors writes for the owner alone, and a DVC cache may be shared


def load(directory: str | Path) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """A finished model in evaluation mode, on the accelerator if there is one, in what it computes in; and its processor."""
    path = Path(directory)
    if not (path / "config.json").exists():
        raise FileNotFoundError(f"{path} holds no vision-language model: run `dvc repro finetune untrained` first")
    transformers_logging.disable_progress_bar()
    kind = _kind(json.loads((path / "config.json").read_text())["vision_config"]["model_type"])
    model = kind.from_pretrained(path, dtype="auto", use_safetensors=True, local_files_only=True)
    return computing(model).eval().to(best_device()), AutoProcessor.from_pretrained(path, local_files_only=True)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw from torch's generator as after `manual_seed(seed)`, then give its state back."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
