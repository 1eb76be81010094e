"""What a pipeline's text encoders read of a caption, and captions that are longer than that.

CLIP reads 77 tokens, markers included, and a pipeline cuts the rest. In chunks of 75 tokens, each between markers of its
own, CLIP reads all of it; the denoiser attends to the chunks one after the other, and the pooled embedding is the first's.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch import Tensor

MOST_CHUNKS = 4  # 300 tokens; the denoiser's attention grows with them
AT_ONCE = 10_000  # captions tokenised together
SDXL = (diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLImg2ImgPipeline)


@dataclass(frozen=True, slots=True)
class Reader:
    """A tokenizer of a pipeline, and how many tokens, markers included, its encoder is given."""

    name: str
    tokenizer: Any
    limit: int


def readers(pipeline: diffusers.DiffusionPipeline, max_sequence_length: int | None, chunks: bool) -> list[Reader]:
    """The tokenizers of a pipeline, the one that cuts first leading. ValueError for settings that it does not have."""
    call = inspect.signature(pipeline.__call__).parameters
    if max_sequence_length is not None and "max_sequence_length" not in call:
        raise ValueError(
            f"params.yaml: images.max_sequence_length must be null, got {max_sequence_length}: "
            f"{type(pipeline).__name__} has no such setting"
        )
    if chunks and not isinstance(pipeline, SDXL):
        raise ValueError(
            f"params.yaml: images.long_prompts must be cut for a {type(pipeline).__name__}: only SDXL's are read in chunks"
        )
    found = []
    for name, tokenizer in pipeline.components.items():
        if not name.startswith("tokenizer") or tokenizer is None:
            continue
        encoder = pipeline.components[name.replace("tokenizer", "text_encoder")]
        limit = tokenizer.model_max_length
        if "max_sequence_length" in call and not encoder.config.model_type.startswith(
            "clip"
        ):  # T5 is told where to cut
            limit = max_sequence_length or call["max_sequence_length"].default
        elif chunks:
            limit = (limit - 2) * MOST_CHUNKS + 2
        found.append(Reader(name, tokenizer, limit))
    return sorted(found, key=lambda reader: reader.limit)


def count_cut(readers: Sequence[Reader], texts: Sequence[str]) -> dict[str, Any]:
    """Metrics: how many captions the first reader cuts and, if any are, how many each cuts and the tokens of the longest."""
    cut, longest = {reader.name: 0 for reader in readers}, 0
    for start in range(0, len(texts), AT_ONCE):
        for reader in readers:
            ids = reader.tokenizer(list(texts[start : start + AT_ONCE]), truncation=False).input_ids
            cut[reader.name] += sum(len(one) > reader.limit for one in ids)
            longest = max(longest, *map(len, ids))
    told: dict[str, Any] = {"prompts_truncated": cut[readers[0].name]}
    if any(cut.values()):
        told |= {"prompts_truncated_by": cut, "prompt_tokens_longest": longest}
    return told


def chunk_counts(readers: Sequence[Reader], texts: Sequence[str]) -> list[int]:
    """In how many chunks each caption is read."""
    counts = [1] * len(texts)
    for reader in readers:
        for place, ids in enumerate(reader.tokenizer(list(texts), truncation=False).input_ids):
            size = reader.tokenizer.model_max_length - 2
            counts[place] = min(max(counts[place], -(-(len(ids) - 2) // size)), MOST_CHUNKS)
    return counts


def embeddings(
    pipeline: diffusers.DiffusionPipeline, texts: Sequence[str], chunks: int, negative: str | None, guided: bool
) -> dict[str, Tensor]:
    """What an SDXL pipeline is told of captions that are all read in that many chunks, as arguments of its call.

    With one chunk, bit for bit what the pipeline makes itself. The negative prompt is read once and said again for each chunk.
    """
    pieces: list[Tensor] = []
    pooled: list[Tensor] = []
    for part in ("", "_2"):
        tokenizer, encoder = getattr(pipeline, f"tokenizer{part}"), getattr(pipeline, f"text_encoder{part}")
        if tokenizer is None or encoder is None:
            continue
        read = [
            encoder(ids.to(encoder.device), output_hidden_states=True) for ids in _chunked(tokenizer, texts, chunks)
        ]
        if read[0][0].ndim == 2:  # only the second encoder has a pooled embedding for the denoiser
            pooled.append(read[0][0])
        pieces.append(torch.cat([chunk.hidden_states[-2] for chunk in read], dim=1))
    told = {"prompt_embeds": torch.cat(pieces, dim=-1), "pooled_prompt_embeds": pooled[0]}
    if guided:
        nothing = None if negative is None else [negative] * len(texts)
        _, without, _, pooled_without = pipeline.encode_prompt(
            [""] * len(texts), negative_prompt=nothing, do_classifier_free_guidance=True
        )
        told |= {
            "negative_prompt_embeds": without.repeat(1, chunks, 1),
            "negative_pooled_prompt_embeds": pooled_without,
        }
    return told


def _chunked(tokenizer: Any, texts: Sequence[str], chunks: int) -> list[Tensor]:
    """Token ids [captions, limit] of each chunk, padded as the tokenizer pads."""
    size = tokenizer.model_max_length - 2
    begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    rows = [ids[1:-1] for ids in tokenizer(list(texts), truncation=False).input_ids]
    tensors = []
    for chunk in range(chunks):
        told = [row[chunk * size : (chunk + 1) * size] for row in rows]
        tensors.append(torch.tensor([[begin, *ids, end, *[pad] * (size - len(ids))] for ids in told]))
    return tensors
