"""A project with drawings of discs, a tiny random VQ tokenizer and the record of the pair list that it was trained on."""

from dataclasses import asdict

import pytest
import torch
from ruamel.yaml import YAML

from desk_models.tokenizer import build
from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_json, write_table
from synthpairs.emoji.drawings import drawings_of_split
from synthpairs.emoji.pool import draw_scenes
from synthpairs.generation.vq_pairs.listing import RECORD, describe
from synthpairs.generation.vq_pairs.params import RealPairs
from tests.captions.conftest import CONCEPTS, drawings  # noqa: F401

CODES = 32


@pytest.fixture(scope="session")
def tiny_vq():
    """A VQModel from 64-pixel pictures to 8 x 8 tokens, with a codebook of which pictures use many vectors."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vq = build([8, 8, 8, 16], CODES, 4).eval().requires_grad_(False)
        torch.nn.init.normal_(vq.quantize.embedding.weight, std=0.3)
    return vq


@pytest.fixture
def project(
    tmp_path, drawings, tiny_vq, monkeypatch  # noqa: F811
):  # fmt: skip
    """A folder in which the stage runs; takes changes of its params after the training of the tokenizer."""

    def build_in(**changed):
        values = {
            "source": "emoji",
            "seed": 1,
            "scenes": 90,
            "kinds": {"single": 0.5, "pair": 0.25, "several": 0.25},
            "used": 70,
        }
        params = RealPairs(**values, tokenizer="models/masked")
        rows = list(drawings_of_split(drawings, "train", CONCEPTS))
        tiny_vq.save_pretrained(tmp_path / params.tokenizer / "vqvae")
        scenes = draw_scenes(rows, params.seed, params.scenes, params.kinds)
        write_json(tmp_path / params.tokenizer / RECORD, describe(scenes, rows))
        write_table(tmp_path / "data/emoji/drawings.parquet", drawings, DRAWINGS)
        with (tmp_path / "params.yaml").open("w") as file:
            YAML(typ="safe").dump(
                {"world": {"concepts": CONCEPTS}, "encode_real_pairs": asdict(params) | changed}, file
            )
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("SYNTHPAIRS_TRACKING", "off")
        return tmp_path

    return build_in
