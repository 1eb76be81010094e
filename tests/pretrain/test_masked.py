"""The masked generator is trained on what AmusedPipeline conditions it on, and that pipeline runs it."""

from pathlib import Path

import pytest
import torch
from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from pretrain import tokenizer as vq_tokenizer
from pretrain.clip import CONTEXT, write_tokenizer
from pretrain.masked import build, conditions, encode_pool, masked_loss
from pretrain.pool import SIDE, Pool

CODES = 32


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """Tiny random tokenizer, text encoder, U-ViT."""
    torch.manual_seed(0)
    words: CLIPTokenizer = write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    text = CLIPTextModelWithProjection(
        CLIPTextConfig(
            vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            projection_dim=16, max_position_embeddings=CONTEXT, eos_token_id=words.eos_token_id, initializer_factor=10.0,
        )
    )  # fmt: skip
    vq = vq_tokenizer.build([8, 8, 8, 16], CODES, 4).eval()
    return vq, words, text, build(64, 2, vq, text)


def test_only_masked_codes_count(parts: tuple) -> None:
    *_, model = parts
    condition = conditions(["a dog", "a cat"], parts[1], parts[2])
    codes = torch.randint(0, CODES, (2, 8, 8))
    torch.manual_seed(1)
    first = masked_loss(model, codes, condition, CODES, 0.0)
    torch.manual_seed(1)
    assert torch.equal(first, masked_loss(model, codes, condition, CODES, 0.0))
    assert 0.5 * torch.log(torch.tensor(CODES)) < first < 3 * torch.log(torch.tensor(CODES))


def test_it_learns_codes_from_captions(parts: tuple) -> None:
    vq, words, text, _ = parts
    torch.manual_seed(0)
    model: UVit2DModel = build(64, 2, vq, text)
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


def test_a_pool_becomes_codes(parts: tuple) -> None:
    pictures = torch.randint(0, 256, (5, 3, SIDE, SIDE), dtype=torch.uint8)
    codes = encode_pool(Pool([None] * 5, pictures, {}), parts[0])  # type: ignore[list-item]
    assert codes.shape == (5, 8, 8)
    assert codes.min() >= 0
    assert codes.max() < CODES


def test_the_pipeline_is_written_and_read(parts: tuple, tmp_path: Path) -> None:
    vq, words, text, model = parts
    AmusedPipeline(vq, words, text, model, AmusedScheduler(mask_token_id=CODES)).save_pretrained(tmp_path)
    again = AmusedPipeline.from_pretrained(tmp_path)
    assert again.transformer.config.codebook_size == CODES
    assert again.scheduler.config.mask_token_id == CODES
