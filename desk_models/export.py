"""Conversion of the desk CLIP's two towers to transformers, with equal outputs; run as `python -m desk_models.export`.

Writes desk_models/trained/vision_tower (CLIPVisionModel) and desk_models/trained/text (text encoder and tokenizer).
"""

from pathlib import Path

import open_clip
import torch
from torch import Tensor
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
)

from synthpairs.core.determinism import best_device

CLIP = Path("desk_models/trained/clip")
VISION_TOWER = Path("desk_models/trained/vision_tower")
TEXT = Path("desk_models/trained/text")


def _blocks(state: dict[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """Renamed transformer blocks: open_clip has query, key and value in one matrix, transformers in three."""
    renamed = {}
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj", "mlp.c_fc": "mlp.fc1",
             "mlp.c_proj": "mlp.fc2"}  # fmt: skip
    for name, value in state.items():
        if name.startswith(theirs):
            layer, _, rest = name.removeprefix(theirs).partition(".")
            part, _, leaf = rest.rpartition(".")
            if leaf.startswith("in_proj_"):
                for letter, piece in zip("qkv", value.chunk(3), strict=True):
                    renamed[f"{ours}{layer}.self_attn.{letter}_proj.{leaf.removeprefix('in_proj_')}"] = piece
            else:
                renamed[f"{ours}{layer}.{names[part]}.{leaf}"] = value
    return renamed


def vision_tower(model: open_clip.CLIP) -> CLIPVisionModel:
    """The vision tower as a CLIPVisionModel; its pooled output before projection is open_clip's."""
    tower = model.visual
    width, patch = tower.conv1.out_channels, tower.conv1.kernel_size[0]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=len(tower.transformer.resblocks),
        num_attention_heads=tower.transformer.resblocks[0].attn.num_heads,
        image_size=tower.image_size[0],
        patch_size=patch,
        hidden_act="gelu",
    )
    state = tower.state_dict()
    converted = {
        "embeddings.class_embedding": state["class_embedding"],
        "embeddings.patch_embedding.weight": state["conv1.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
        "pre_layrnorm.weight": state["ln_pre.weight"],
        "pre_layrnorm.bias": state["ln_pre.bias"],
        "post_layernorm.weight": state["ln_post.weight"],
        "post_layernorm.bias": state["ln_post.bias"],
        **_blocks(state, "transformer.resblocks.", "encoder.layers."),
    }
    return _load(CLIPVisionModel(config), converted)


def text_tower(model: open_clip.CLIP, tokenizer: CLIPTokenizer) -> CLIPTextModelWithProjection:
    """The text tower as SDXL's second text encoder; its text embedding is open_clip's."""
    width = model.token_embedding.embedding_dim
    config = CLIPTextConfig(
        vocab_size=model.vocab_size,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=len(model.transformer.resblocks),
        num_attention_heads=model.transformer.resblocks[0].attn.num_heads,
        max_position_embeddings=model.context_length,
        projection_dim=model.text_projection.shape[1],
        hidden_act="gelu",
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    state = model.state_dict()
    converted = {
        "embeddings.token_embedding.weight": state["token_embedding.weight"],
        "embeddings.position_embedding.weight": state["positional_embedding"],
        "final_layer_norm.weight": state["ln_final.weight"],
        "final_layer_norm.bias": state["ln_final.bias"],
        **_blocks(state, "transformer.resblocks.", "encoder.layers."),
    }
    prefixed = {f"text_model.{name}": value for name, value in converted.items()}
    return _load(CLIPTextModelWithProjection(config), prefixed | {"text_projection.weight": state["text_projection"].T})


def _load(target: torch.nn.Module, state: dict[str, Tensor]) -> torch.nn.Module:
    target.load_state_dict({name: value.float().contiguous() for name, value in state.items()})
    return target.eval()


def load_text() -> tuple[CLIPTokenizer, CLIPTextModelWithProjection]:
    """The exported tokenizer and text encoder, in evaluation mode on the device."""
    encoder = CLIPTextModelWithProjection.from_pretrained(TEXT / "encoder")
    return CLIPTokenizer.from_pretrained(TEXT / "tokenizer"), encoder.float().to(best_device()).eval()


@torch.no_grad()
def encode(
    captions: list[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection
) -> tuple[Tensor, Tensor]:
    """Penultimate hidden states [n, 32, width] and pooled embeddings [n, width], as SDXL takes them."""
    length = tokenizer.model_max_length
    ids = tokenizer(captions, padding="max_length", truncation=True, return_tensors="pt", max_length=length).input_ids
    encoded = encoder(ids.to(best_device()), output_hidden_states=True)
    return encoded.hidden_states[-2], encoded.text_embeds


def main() -> None:
    """Export both towers of desk_models/trained/clip."""
    model = open_clip.create_model(f"local-dir:{CLIP}").eval()
    tokenizer = CLIPTokenizer.from_pretrained(CLIP)
    tower = vision_tower(model)
    tower.half().save_pretrained(VISION_TOWER)
    side = tower.config.image_size
    CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}, resample=3,
                       image_mean=[0.5] * 3, image_std=[0.5] * 3).save_pretrained(VISION_TOWER)  # fmt: skip
    text_tower(model, tokenizer).half().save_pretrained(TEXT / "encoder")
    tokenizer.save_pretrained(TEXT / "tokenizer")


if __name__ == "__main__":
    main()
