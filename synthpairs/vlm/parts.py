"""The parts of a VLM, loaded from where params name them: a directory, or OWNER/NAME@REVISION of a hub model.

Weights are read from safetensors alone, and no code of a model's own is run. Errors name the param's key.
"""

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoTokenizer,
    BaseImageProcessor,
    CLIPVisionModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from synthpairs.core.storage import file_sha256
from synthpairs.models.hub import hub_record, model_folder, require_safetensors
from synthpairs.models.vq_tokenizer import tokenizer_folder

_ADAPTER = "adapter_model.safetensors"
_CONFIGS = {"vlm.adapter": "adapter_config.json"}  # where it is not config.json
_MADE_BY = {"vlm.llm": "`dvc repro language_model` makes models/llm"}
_KINDS = {"vlm.vision_tower": "vision tower", "vlm.llm": "language model", "vlm.adapter": "adapter"}


@cache  # a branch must not be resolved to two commits in one run
def part_folder(name: str, key: str) -> Path:
    """Directory of a part, downloaded if need be; FileNotFoundError or ValueError names the param when it holds no model."""
    config = _CONFIGS.get(key, "config.json")
    folder = model_folder(name, key, made_by=_MADE_BY.get(key, "the desk's are in git"))
    if not (folder / config).is_file():
        raise FileNotFoundError(f"params.yaml: {key}: {name} has no {config}, so it is no {_KINDS[key]}")
    require_safetensors(folder, name, key)
    return folder


def part_identity(name: str, key: str) -> str | dict[str, Any]:
    """Identity of a part in a fingerprint: the SHA-256 of a directory, the record of a hub model."""
    return part_record(name, key) or file_sha256(Path(name))


@cache  # the weights of a large model take a minute to hash
def part_record(name: str, key: str) -> dict[str, Any] | None:
    """`hub_record` of a part; None for a directory."""
    folder = tokenizer_folder(name, key) if key == "resampler.tokenizer" else part_folder(name, key)
    return hub_record(name, folder)


def load_llm(name: str, layers: int | None, adapter: str | None) -> PreTrainedModel:
    """The language model in bfloat16, its first `layers` alone (None: all), with `adapter`, if any, merged into it."""
    settings = {}
    if layers is not None:
        count = AutoConfig.from_pretrained(part_folder(name, "vlm.llm"), trust_remote_code=False).num_hidden_layers
        if layers > count:
            raise ValueError(
                f"params.yaml: vlm.num_hidden_layers must be from 1 to {count}, all that {name} has, or null, got {layers}"
            )
        settings["num_hidden_layers"] = layers
    llm = _load_complete(AutoModelForCausalLM, name, "vlm.llm", **settings)
    return llm if adapter is None else _merge_adapter(llm, adapter)


def load_clip_tower(name: str) -> tuple[CLIPVisionModel, BaseImageProcessor]:
    """The vision tower in bfloat16, also that of a whole CLIPModel, and its image processor."""
    folder = part_folder(name, "vlm.vision_tower")
    kind = json.loads((folder / "config.json").read_text()).get("model_type")
    if kind not in ("clip", "clip_vision_model"):
        raise ValueError(f"params.yaml: vlm.vision_tower must be of CLIP, got {name}, a model of type {kind}")
    tower = _load_complete(CLIPVisionModel, name, "vlm.vision_tower")
    if not (folder / "preprocessor_config.json").is_file():
        raise FileNotFoundError(f"params.yaml: vlm.vision_tower: {name} has no preprocessor_config.json")
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    side = processor.crop_size["height"]
    if side != tower.config.image_size:
        raise ValueError(
            f"params.yaml: vlm.vision_tower: {name} takes {tower.config.image_size} pixels, its image processor makes {side}"
        )
    return tower, processor


def load_text_tokenizer(name: str, slot: str | None, image_token: str) -> PreTrainedTokenizerBase:
    """The language model's tokenizer with `image_token` in place of the special token `slot`, or added.

    Renaming an unused special token leaves the embedding's shape and all ids unchanged.
    """
    folder = part_folder(name, "vlm.llm")
    tokenizer = _tokenizer(folder)
    if slot is None:
        tokenizer.add_tokens([image_token], special_tokens=True)
        return tokenizer
    special = sorted(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    if slot not in special:
        raise ValueError(
            f"params.yaml: vlm.image_token must be null or a special token of {name} ({', '.join(special) or 'it has none'}), "
            f"got {slot!r}"
        )
    with tempfile.TemporaryDirectory() as directory:
        tokenizer.save_pretrained(directory)
        for file in Path(directory).glob("*.json"):
            file.write_text(file.read_text("utf-8").replace(json.dumps(slot), json.dumps(image_token)), "utf-8")
        return _tokenizer(Path(directory))


def round_weights(weights: Any) -> None:
    """Cast weights to bfloat16 in place; a model's own `to` would round its rotary frequencies too."""
    for weight in weights:
        weight.data = weight.data.to(torch.bfloat16)


def load_projector(projector: nn.Module, file: Path, command: str) -> None:
    """Load the projector's weights from `file`; ValueError names the `command` to run when they are of another model."""
    try:
        projector.load_state_dict(load_file(file))
    except RuntimeError as error:
        raise ValueError(f"{file} is of another model: run `{command}` again ({_first_line(error)})") from None


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.init_kwargs["local_files_only"] = False  # it follows HF_HUB_OFFLINE, and would be saved with the model
    return tokenizer


def _load_complete(model_class: Any, name: str, key: str, **config: Any) -> Any:
    """A model in bfloat16; ValueError when its files lack a weight. `config` overrides the model's own."""
    folder, verbosity = part_folder(name, key), transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()  # it lists unused weights: a whole CLIP's text tower
    try:
        model, report = model_class.from_pretrained(
            folder,
            dtype=torch.bfloat16,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **config,
        )
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"params.yaml: {key}: {name} cannot be loaded: {_first_line(error)}") from None
    finally:
        transformers_logging.set_verbosity(verbosity)
    if missing := sorted(report["missing_keys"]):
        raise ValueError(f"params.yaml: {key}: {name} lacks {len(missing)} weights of its model, first {missing[0]}")
    return model


def _merge_adapter(llm: PreTrainedModel, adapter: str) -> PreTrainedModel:
    """The language model plus the adapter, added in float32 and rounded to bfloat16 once."""
    folder = part_folder(adapter, "vlm.adapter")
    if not (folder / _ADAPTER).is_file():  # peft would unpickle adapter_model.bin
        raise ValueError(f"params.yaml: vlm.adapter: {adapter} has no {_ADAPTER}, and nothing else is loaded")
    from peft import PeftModel, get_peft_model_state_dict  # takes seconds to import, and benchmarks do not need it

    mismatch = ValueError(f"params.yaml: vlm.adapter: {adapter} is of another model than vlm.llm")
    try:
        names = load_file(folder / _ADAPTER).keys()
        adapted = PeftModel.from_pretrained(llm.float(), folder)
    except (RuntimeError, ValueError):  # of another width, or without the layers that it adapts
        raise mismatch from None
    except (KeyError, TypeError, SafetensorError) as error:
        raise ValueError(f"params.yaml: vlm.adapter: {adapter} is no adapter ({_first_line(error)})") from None
    adapted.active_peft_config.base_model_name_or_path = (
        None  # peft would look on the hub whether its vocabulary is this one
    )
    if names != get_peft_model_state_dict(adapted).keys():
        raise mismatch  # peft only warns
    merged = adapted.merge_and_unload()
    round_weights(merged.parameters())
    return merged.requires_grad_(True)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
