"""Token limits of a pipeline's text encoders, and encoding of captions beyond them in chunks.

Pipelines truncate at CLIP's 77 tokens, two of them markers. Chunks of 75 tokens, each with its own markers, are encoded one by
one; the denoiser attends to their concatenation, and the pooled embedding is that of the first chunk.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch import Tensor

MAX_CHUNKS = 4  # 300 tokens; the cost of the denoiser's attention grows with them
BATCH = 10_000  # captions per call of a tokenizer
SDXL = (diffusers.StableDiffusionXLPipeline, diffusers.StableDiffusionXLImg2ImgPipeline)


@dataclass(frozen=True, slots=True)
class PromptTokenizer:
    """A tokenizer of a pipeline, and the most tokens, markers included, that its encoder gets."""

    name: str
    tokenizer: Any
    limit: int


def prompt_tokenizers(
    pipeline: diffusers.DiffusionPipeline, max_sequence_length: int | None, chunks: bool
) -> list[PromptTokenizer]:
    """The tokenizers of a pipeline in order of their limits; ValueError for settings that it does not have."""
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
    tokenizers = []
    for name, tokenizer in pipeline.components.items():
        if not name.startswith("tokenizer") or tokenizer is None:
            continue
        encoder = pipeline.components[name.replace("tokenizer", "text_encoder")]
        limit = tokenizer.model_max_length
        is_clip = encoder.config.model_type.startswith("clip")
        if "max_sequence_length" in call and not is_clip:  # T5, whose tokenizer has another limit than the pipeline
            limit = max_sequence_length or call["max_sequence_length"].default
        elif chunks:
            limit = (limit - 2) * MAX_CHUNKS + 2
        tokenizers.append(PromptTokenizer(name, tokenizer, limit))
    return sorted(tokenizers, key=lambda one: one.limit)


def truncation_metrics(tokenizers: Sequence[PromptTokenizer], texts: Sequence[str]) -> dict[str, Any]:
    """How many captions the first tokenizer truncates; if any, how many each truncates, and the tokens of the longest."""
    truncated, longest = {one.name: 0 for one in tokenizers}, 0
    for start in range(0, len(texts), BATCH):
        for one in tokenizers:
            lengths = [
                len(ids) for ids in one.tokenizer(list(texts[start : start + BATCH]), truncation=False).input_ids
            ]
            truncated[one.name] += sum(length > one.limit for length in lengths)
            longest = max(longest, *lengths)
    metrics: dict[str, Any] = {"prompts_truncated": truncated[tokenizers[0].name]}
    if any(truncated.values()):
        metrics |= {"prompts_truncated_by": truncated, "prompt_tokens_longest": longest}
    return metrics


def chunk_counts(tokenizers: Sequence[PromptTokenizer], texts: Sequence[str]) -> list[int]:
    """The number of chunks of each caption, the same for all tokenizers."""
    counts = [1] * len(texts)
    for one in tokenizers:
        size = one.tokenizer.model_max_length - 2
        for row, ids in enumerate(one.tokenizer(list(texts), truncation=False).input_ids):
            counts[row] = min(max(counts[row], -(-(len(ids) - 2) // size)), MAX_CHUNKS)
    return counts


def prompt_embeddings(
    pipeline: diffusers.DiffusionPipeline, texts: Sequence[str], chunks: int, negative: str | None, guided: bool
) -> dict[str, Tensor]:
    """Embeddings of captions of `chunks` chunks each, as arguments of an SDXL pipeline's call.

    For one chunk they are bit-identical to the pipeline's own. The negative prompt is encoded once and repeated for each chunk.
    """
    hidden: list[Tensor] = []
    pooled: list[Tensor] = []
    for part in ("", "_2"):
        tokenizer, encoder = getattr(pipeline, f"tokenizer{part}"), getattr(pipeline, f"text_encoder{part}")
        if tokenizer is None or encoder is None:
            continue
        outputs = [
            encoder(ids.to(encoder.device), output_hidden_states=True) for ids in _chunk_ids(tokenizer, texts, chunks)
        ]
        if outputs[0][0].ndim == 2:  # only the second encoder has a pooled embedding for the denoiser
            pooled.append(outputs[0][0])
        hidden.append(torch.cat([output.hidden_states[-2] for output in outputs], dim=1))
    arguments = {"prompt_embeds": torch.cat(hidden, dim=-1), "pooled_prompt_embeds": pooled[0]}
    if guided:
        _, negative_hidden, _, negative_pooled = pipeline.encode_prompt(
            [""] * len(texts),
            negative_prompt=None if negative is None else [negative] * len(texts),
            do_classifier_free_guidance=True,
        )
        arguments |= {
            "negative_prompt_embeds": negative_hidden.repeat(1, chunks, 1),
            "negative_pooled_prompt_embeds": negative_pooled,
        }
    return arguments


def _chunk_ids(tokenizer: Any, texts: Sequence[str], chunks: int) -> list[Tensor]:
    """Token ids [captions, limit] of each chunk, padded as the tokenizer pads."""
    size = tokenizer.model_max_length - 2
    begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    rows = [ids[1:-1] for ids in tokenizer(list(texts), truncation=False).input_ids]
    tensors = []
    for chunk in range(chunks):
        parts = [row[chunk * size : (chunk + 1) * size] for row in rows]
        tensors.append(torch.tensor([[begin, *ids, end, *[pad] * (size - len(ids))] for ids in parts]))
    return tensors
