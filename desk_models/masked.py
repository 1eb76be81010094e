"""Training of the masked generator of the Synth2 route; run as `python -m desk_models.masked`.

Writes desk_models/trained/masked, an AmusedPipeline directory (arXiv 2401.01808, after Muse, arXiv 2301.00704): a U-ViT that
predicts masked VQ tokens from a caption. It is trained on real pairs alone, the same as the route's vision-language models.
"""

import logging
import math
from pathlib import Path

import numpy as np
import torch
from diffusers import AmusedPipeline, AmusedScheduler, UVit2DModel, VQModel
from diffusers.models.attention_processor import AttnProcessor
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextModelWithProjection, CLIPTokenizer

from desk_models.export import load_text
from desk_models.loop import Schedule, autocast, train
from desk_models.pool import params, training_pool, training_rows
from synthpairs.core.determinism import best_device
from synthpairs.core.storage import write_json
from synthpairs.emoji.pool import SIDE
from synthpairs.generation.masked import generator
from synthpairs.generation.vq_pairs.encoding import Encoder
from synthpairs.generation.vq_pairs.listing import RECORD, describe, require_same_pair_list

OUT = Path("desk_models/trained/masked")
TOKENIZER = Path("desk_models/trained/tokenizer")
MICRO, MICRO_WIDTH = 5, 32  # micro-conditions (synthpairs.generation.masked.generator) and the width of each


def build(width: int, res_blocks: int, layers: int, vq: VQModel, text: CLIPTextModelWithProjection) -> UVit2DModel:
    """The U-ViT of aMUSEd at a fraction of its size; the first id after the tokens is the mask.

    Positions are known from the convolutions' padding alone: with three blocks a border is in the receptive field of each
    token of an 8 x 8 grid. `layers` are transformer layers without the attention in the blocks.
    """
    codes = vq.config.num_vq_embeddings
    return UVit2DModel(
        hidden_size=width,
        cond_embed_dim=text.config.projection_dim,
        micro_cond_encode_dim=MICRO_WIDTH,
        micro_cond_embed_dim=MICRO_WIDTH * MICRO,
        encoder_hidden_size=text.config.hidden_size,
        vocab_size=codes + 1,
        codebook_size=codes,
        in_channels=width,
        block_out_channels=width,
        num_res_blocks=res_blocks,
        block_num_heads=width // 32,
        num_hidden_layers=layers,
        num_attention_heads=width // 32,
        intermediate_size=width * 2,
        sample_size=SIDE // 2 ** (len(vq.config.block_out_channels) - 1),
    )


@torch.no_grad()
def conditions(
    captions: list[str], tokenizer: CLIPTokenizer, encoder: CLIPTextModelWithProjection
) -> dict[str, Tensor]:
    """Conditions of the U-ViT in training: those of MaskedGenerator for pictures of SIDE pixels."""
    return generator.conditions(captions, tokenizer, encoder, SIDE)


def masked_loss(
    model: nn.Module, tokens: Tensor, condition: dict[str, Tensor], mask_id: int, smoothing: float
) -> Tensor:
    """Cross-entropy on the masked tokens; their share is cos(pi u / 2), u uniform (MaskGIT, arXiv 2202.04200)."""
    count, cells = len(tokens), tokens[0].numel()
    share = torch.cos(torch.rand(count) * math.pi / 2)
    masked = (share * cells).round().clamp(min=1).long()
    order = torch.rand(count, cells).argsort(dim=1).argsort(dim=1)
    hidden = (order < masked[:, None]).view_as(tokens).to(tokens.device)
    with autocast():
        logits = model(tokens.masked_fill(hidden, mask_id), **condition)
    return F.cross_entropy(logits.float().movedim(1, -1)[hidden], tokens[hidden], label_smoothing=smoothing)


def main() -> None:
    """Train the U-ViT on the pool's tokens and write the pipeline."""
    spec, seed = params("masked"), params()["seed"]
    torch.manual_seed(seed)
    vq = VQModel.from_pretrained(TOKENIZER).to(best_device()).eval()
    tokenizer, encoder = load_text()
    model = build(spec.pop("width"), spec.pop("res_blocks"), spec.pop("layers"), vq, encoder)
    if best_device().type == "cpu":
        model.set_attn_processor(AttnProcessor())  # backward through the fused kernel takes most of a step
    drop_text, smoothing = spec.pop("drop_text"), spec.pop("smoothing")
    schedule, mask_id = Schedule(**spec), vq.config.num_vq_embeddings
    pool = training_pool()
    pair_list = describe(pool.scenes, training_rows())
    require_same_pair_list(TOKENIZER, pair_list)
    tokens = torch.from_numpy(Encoder(vq).tokens(pool.pictures, lambda _: None).astype(np.int32))
    logging.info("%.1f M parameters", sum(weight.numel() for weight in model.parameters()) / 1e6)

    def loss_of(trained: nn.Module, rng: np.random.Generator) -> Tensor:
        numbers, captions, _ = pool.batch(rng, schedule.batch)
        dropped = rng.random(len(captions)) < drop_text
        texts = ["" if drop else text for text, drop in zip(captions, dropped, strict=True)]
        grids = tokens[numbers].long().to(best_device())
        return masked_loss(trained, grids, conditions(texts, tokenizer, encoder), mask_id, smoothing)

    train(model, loss_of, schedule, seed, "masked")
    vq.register_to_config(pixel_range=[-1, 1])  # the default is aMUSEd's [0, 1]
    AmusedPipeline(
        vqvae=vq.half(), tokenizer=tokenizer, text_encoder=encoder.half(), transformer=model.half(),
        scheduler=AmusedScheduler(mask_token_id=mask_id),
    ).save_pretrained(OUT)  # fmt: skip
    write_json(OUT / RECORD, pair_list)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    main()
