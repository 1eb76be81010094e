"""A tiny AmusedPipeline with random weights, and params for it."""

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from desk_models import masked, tokenizer
from synthpairs.generation.masked.params import GenerateTokens
from tests.conftest import tiny_tokenizer
from tests.generation.conftest import TEXTS, captions_of  # noqa: F401

CODES, CHANNELS, GRID = 32, 4, (4, 4)


def save_masked(folder, vq_codes=CODES):
    """Write an AmusedPipeline with a transformer of CODES codes and a VQ model of `vq_codes`."""
    words = tiny_tokenizer()
    torch.manual_seed(0)
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            projection_dim=16, max_position_embeddings=words.model_max_length, bos_token_id=words.bos_token_id,
            eos_token_id=words.eos_token_id, pad_token_id=words.pad_token_id, initializer_factor=10.0,
        )
    )  # fmt: skip
    model = masked.build(32, 1, 1, tokenizer.build([8, 8, 8, 8, 8], CODES, CHANNELS), text)
    vq = tokenizer.build([8, 8, 8, 8, 8], vq_codes, CHANNELS)
    torch.nn.init.normal_(vq.quantize.embedding.weight)
    AmusedPipeline(vq, words, text, model, AmusedScheduler(mask_token_id=CODES)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_masked(tmp_path_factory):
    """Folder of the pipeline: 64-pixel pictures, 4 x 4 cells, CODES codes with vectors of CHANNELS numbers."""
    return save_masked(tmp_path_factory.mktemp("tiny_masked"))


@pytest.fixture
def settings(tiny_masked, tmp_path, monkeypatch):
    """Makes params of the tiny generator; the work store is in tmp_path."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    values = {
        "generator": str(tiny_masked),
        "candidates": 2,
        "num_inference_steps": 5,
        "guidance_scale": 3.0,
        "temperature": [2.0, 0.0],
        "schedule": "cosine",
        "vectors": "hard",
        "dtype": "float32",
        "batch_size": 4,
        "samples_per_shard": 8,
        "max_failed_share": 0.0,
    }
    return lambda **changed: GenerateTokens(**values | changed)
