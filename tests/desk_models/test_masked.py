"""The masked generator is trained on what AmusedPipeline conditions it on, and that pipeline runs it."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler
from ruamel.yaml import YAML
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from desk_models import autoencoder, masked
from desk_models import tokenizer as vq_tokenizer
from desk_models.clip import CONTEXT, write_tokenizer
from desk_models.masked import build, conditions, masked_loss
from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.generation.vq_pairs.listing import RECORD
from tests.captions.conftest import CONCEPTS, drawings  # noqa: F401

CODES = 32


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Tiny random tokenizer, text encoder, U-ViT."""
    torch.manual_seed(0)
    words = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            projection_dim=16, max_position_embeddings=CONTEXT, eos_token_id=words.eos_token_id, initializer_factor=10.0,
        )
    )  # fmt: skip
    vq = vq_tokenizer.build([8, 8, 8, 16], CODES, 4).eval()
    return vq, words, text, build(64, 1, 2, vq, text)


def test_only_masked_codes_count(parts):
    *_, model = parts
    condition = conditions(["a dog", "a cat"], parts[1], parts[2])
    codes = torch.randint(0, CODES, (2, 8, 8))
    torch.manual_seed(1)
    first = masked_loss(model, codes, condition, CODES, 0.0)
    torch.manual_seed(1)
    assert torch.equal(first, masked_loss(model, codes, condition, CODES, 0.0))
    assert 0.5 * torch.log(torch.tensor(CODES)) < first < 3 * torch.log(torch.tensor(CODES))


def test_it_learns_codes_from_captions(parts):
    vq, words, text, _ = parts
    torch.manual_seed(0)
    model = build(64, 1, 2, vq, text)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    condition = conditions(["a dog", "a cat"], words, text)
    codes = torch.stack([torch.full((8, 8), 3), torch.full((8, 8), 7)])
    losses = []
    for _ in range(80):
        loss = masked_loss(model, codes, condition, CODES, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    pipeline = AmusedPipeline(vq, words, text, model.eval(), AmusedScheduler(mask_token_id=CODES))
    pipeline.set_progress_bar_config(disable=True)
    grids = pipeline(["a dog", "a cat"], num_inference_steps=4, guidance_scale=1.5, output_type="latent",
                     generator=torch.Generator().manual_seed(0)).images  # fmt: skip
    assert (torch.as_tensor(grids) == codes).float().mean() > 0.9


@pytest.fixture
def project(
    parts, drawings, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    """A directory in which both trainings run for a step or two, from a pair list of a seed."""
    schedule = {"minutes": 1e-4, "batch": 4, "learning_rate": 1e-3, "ema": 0.9, "checkpoint_s": 60}
    spec = {
        "seed": 0,
        "tokenizer": schedule | {
            "channels": [8, 8, 8, 16], "codes": CODES, "code_channels": 4, "free_steps": 0, "idle_steps": 2, "commitment": 0.25,
        },
        "masked": schedule | {"width": 64, "res_blocks": 1, "layers": 1, "drop_text": 0.1, "smoothing": 0.1},
    }  # fmt: skip
    _, words, text, _ = parts
    write_table(tmp_path / "data/art/drawings.parquet", drawings, DRAWINGS)
    autoencoder.build([8, 8, 8], 4).save_pretrained(tmp_path / vq_tokenizer.AUTOENCODER)
    text.save_pretrained(tmp_path / "desk_models/trained/text/encoder")
    words.save_pretrained(tmp_path / "desk_models/trained/text/tokenizer")
    (tmp_path / "desk_models").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def write(seed):
        pairs = {"seed": seed, "scenes": 520, "kinds": {"single": 1.0}, "used": 1, "tokenizer": "models/desk/masked"}
        for path, values in {
            "params.yaml": {"world": {"concepts": CONCEPTS}, "pairs": pairs},
            "desk_models/params.yaml": spec,
        }.items():
            with Path(path).open("w") as file:
                YAML(typ="safe").dump(values, file)

    return write


def test_both_models_record_the_same_pair_list_and_another_one_is_refused(project):
    project(3)
    vq_tokenizer.main()
    masked.main()
    record = json.loads((masked.OUT / RECORD).read_text())
    assert record == json.loads((vq_tokenizer.OUT / RECORD).read_text())
    assert record["scenes"] == 520
    pipeline = AmusedPipeline.from_pretrained(masked.OUT)
    assert tuple(pipeline.vqvae.config.pixel_range) == (-1, 1)
    project(4)
    with pytest.raises(
        ValueError, match=f"desk_models/trained/tokenizer/pairs.json: the model learnt .* {record['sha256']}"
    ):
        masked.main()
