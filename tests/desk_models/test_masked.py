import json
from pathlib import Path

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler

from desk_models import autoencoder, masked
from desk_models import tokenizer as vq_tokenizer
from desk_models.masked import build, conditions, masked_loss
from synthpairs.generation.vq_pairs.listing import RECORD
from tests.desk_models.conftest import CODES


def test_the_loss_is_about_that_of_uniform_predictions(masked_parts):
    _, words, text, model = masked_parts
    condition = conditions(["a dog", "a cat"], words, text)
    tokens = torch.randint(0, CODES, (2, 8, 8))
    losses = []
    for _ in range(2):
        torch.manual_seed(1)
        losses.append(masked_loss(model, tokens, condition, CODES, 0.0))
    assert torch.equal(*losses)
    assert 0.5 * torch.log(torch.tensor(CODES)) < losses[0] < 3 * torch.log(torch.tensor(CODES))


def test_it_learns_tokens_from_captions_as_amused_conditions_it(masked_parts):
    vq, words, text, _ = masked_parts
    torch.manual_seed(0)
    model, captions = build(64, 1, 2, vq, text), ["a dog", "a cat"]
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    condition = conditions(captions, words, text)
    tokens = torch.stack([torch.full((8, 8), 3), torch.full((8, 8), 7)])
    for _ in range(80):
        optimizer.zero_grad()
        masked_loss(model, tokens, condition, CODES, 0.0).backward()
        optimizer.step()
    pipeline = AmusedPipeline(vq, words, text, model.eval(), AmusedScheduler(mask_token_id=CODES))
    pipeline.set_progress_bar_config(disable=True)
    grids = pipeline(captions, num_inference_steps=4, guidance_scale=1.5, output_type="latent",
                     generator=torch.Generator().manual_seed(0)).images  # fmt: skip
    assert (torch.as_tensor(grids) == tokens).float().mean() > 0.9


def test_both_models_record_the_pair_list_and_another_list_is_an_error(masked_parts, project):
    schedule = {"minutes": 1e-4, "batch": 4, "learning_rate": 1e-3, "ema": 0.9, "checkpoint_s": 60}
    tokenizer = {"channels": [8, 8, 8, 16], "codes": CODES, "code_channels": 4, "free_steps": 0, "idle_steps": 2}
    generator = {"width": 64, "res_blocks": 1, "layers": 1, "drop_text": 0.1, "smoothing": 0.1}
    desk = {"tokenizer": schedule | tokenizer | {"commitment": 0.25}, "masked": schedule | generator}
    _, words, text, _ = masked_parts
    autoencoder.build([8, 8, 8], 4).save_pretrained(vq_tokenizer.AUTOENCODER)
    text.save_pretrained("desk_models/trained/text/encoder")
    words.save_pretrained("desk_models/trained/text/tokenizer")
    project(desk, {"seed": 3, "scenes": 520})
    vq_tokenizer.main()
    masked.main()
    record = json.loads(Path(masked.OUT, RECORD).read_text())
    assert record == json.loads(Path(vq_tokenizer.OUT, RECORD).read_text())
    assert record["scenes"] == 520
    assert tuple(AmusedPipeline.from_pretrained(masked.OUT).vqvae.config.pixel_range) == (-1, 1)
    project(desk, {"seed": 4, "scenes": 520})
    with pytest.raises(ValueError, match=f"trained/tokenizer/pairs.json: the model learnt .* {record['sha256']}"):
        masked.main()
