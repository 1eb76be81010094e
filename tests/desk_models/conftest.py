"""Tiny parts of the masked generator, and a project folder to train and evaluate models in."""

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from desk_models import tokenizer as vq_tokenizer
from desk_models.clip import CONTEXT, write_tokenizer
from desk_models.masked import build
from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_json, write_table
from tests.captions.conftest import CONCEPTS, drawings  # noqa: F401

CODES = 32


@pytest.fixture(scope="module")
def masked_parts(tmp_path_factory):
    """Tiny random VQ tokenizer, text tokenizer, text encoder, U-ViT."""
    torch.manual_seed(0)
    words = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        projection_dim=16, max_position_embeddings=CONTEXT, eos_token_id=words.eos_token_id, initializer_factor=10.0,
    )  # fmt: skip
    vq, text = vq_tokenizer.build([8, 8, 8, 16], CODES, 4).eval(), CLIPTextModelWithProjection(config)
    return vq, words, text, build(64, 1, 2, vq, text)


@pytest.fixture
def project(drawings, tmp_path, monkeypatch):  # noqa: F811
    """Changes to a folder with drawings; writes params.yaml of the pipeline and of the desk models."""
    write_table(tmp_path / "data/emoji/drawings.parquet", drawings, DRAWINGS)
    monkeypatch.chdir(tmp_path)

    def write(desk, pairs, **sections):
        defaults = {
            "source": "emoji",
            "seed": 0,
            "scenes": 30,
            "kinds": {"single": 1.0},
            "used": 1,
            "tokenizer": "models/desk/masked",
        }
        pairs = defaults | pairs
        write_json(tmp_path / "params.yaml", {"world": {"concepts": CONCEPTS}, "encode_real_pairs": pairs} | sections)
        write_json(tmp_path / "desk_models/params.yaml", {"seed": 0} | desk)

    return write
