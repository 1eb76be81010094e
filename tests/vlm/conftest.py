"""Tiny random parts, and examples for them: a 16-pixel eye (2 x 2 patches), a two-layer language model, word tokens."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Vlm

WORDS = [f"{letter}{other}" for letter in "abcdefgh" for other in "ijklmnop"]
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]
TRAINING = {
    "seed": 3, "epochs": 1.0, "max_steps": None, "batch": 4, "micro_batch": 4, "learning_rate": 0.01, "warmup": 0.1,
    "weight_decay": 0.0, "max_tokens": 64, "max_skipped": 0.5, "checkpoint_steps": 3,
}  # fmt: skip


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    """Directories of an eye and a language model, as section `vlm` names them."""
    root = tmp_path_factory.mktemp("parts")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        eye = CLIPVisionModel(CLIPVisionConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2, image_size=16, patch_size=8,
        ))  # fmt: skip
        letters = pre_tokenizers.ByteLevel.alphabet()
        vocabulary = {word: number for number, word in enumerate([*CONTROL, *sorted(letters)])}
        llm = LlamaForCausalLM(LlamaConfig(
            hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
            vocab_size=len(vocabulary), max_position_embeddings=256, tie_word_embeddings=True,
            bos_token_id=1, eos_token_id=2, pad_token_id=2,
        ))  # fmt: skip
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    backend.add_special_tokens(CONTROL)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=CONTROL[1], eos_token=CONTROL[2], pad_token=CONTROL[2], unk_token=CONTROL[0]
    )
    half = [0.5] * 3
    eye.half().save_pretrained(root / "eye")
    size = {"height": 16, "width": 16}
    CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=size, image_mean=half, image_std=half).save_pretrained(root / "eye")
    llm.to(torch.bfloat16).save_pretrained(root / "llm")
    tokenizer.save_pretrained(root / "llm")
    return Vlm(
        eye=str(root / "eye"), llm=str(root / "llm"), vision_feature_layer=-2, image_slot="<empty_output>", chat="chatml"
    )


@pytest.fixture(autouse=True)
def _own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def picture(seed: int) -> Image.Image:
    """A 20-pixel picture of noise."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), dtype=np.uint8))


def png(seed: int) -> bytes:
    """The same as PNG."""
    out = io.BytesIO()
    picture(seed).save(out, "PNG")
    return out.getvalue()


def captions(count: int) -> list[tuple[str, str, Image.Image]]:
    """Pairs of (key, caption, picture) with captions of different lengths."""
    return [(f"key{number}", " ".join(WORDS[number % 7 :][: 1 + number % 5]), picture(number)) for number in range(count)]


def instructions(count: int) -> pd.DataFrame:
    """Rows of INSTRUCTIONS; every third has no picture."""
    return pd.DataFrame([
        {"question": f"what is {WORDS[number % 60]}?", "answer": WORDS[number % 11], "picture": None if number % 3 == 2 else png(number)}
        for number in range(count)
    ])  # fmt: skip


def align_params(**changes: object) -> Align:
    """Section `align` for the tiny model."""
    return Align(**(TRAINING | changes))


def finetune_params(**changes: object) -> Finetune:
    """Section `finetune` for the tiny model."""
    return Finetune(**({"lora": None} | TRAINING | changes))
