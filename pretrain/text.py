"""The exported text encoder, as every desk generator is conditioned on it."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from synthpairs.inference import best_device

TEXT = Path("data/pretrain/text")


def load_text() -> tuple[CLIPTokenizer, CLIPTextModelWithProjection]:
    """What `pretrain.export` wrote: the tokenizer and the encoder, in evaluation mode on the device."""
    encoder = CLIPTextModelWithProjection.from_pretrained(TEXT / "encoder")
    return CLIPTokenizer.from_pretrained(TEXT / "tokenizer"), encoder.float().to(best_device()).eval()


@torch.no_grad()
def encode(
    captions: list[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection
) -> tuple[Tensor, Tensor]:
    """Penultimate hidden states [n, 32, width] and pooled embeddings [n, width], as SDXL and aMUSEd take them."""
    ids = tokenizer(
        captions, padding="max_length", truncation=True, return_tensors="pt", max_length=tokenizer.model_max_length
    ).input_ids
    encoded = encoder(ids.to(best_device()), output_hidden_states=True)
    return encoded.hidden_states[-2], encoded.text_embeds
