"""Training sets of the Synth2 arms: real and generated pairs of VQ tokens and captions, in a given proportion.

All arms train for equally many steps on equally many draws, so they differ only in where the pairs come from. An arm that mixes
draws only its share of the real pairs. Synth2 mixes real with generated pairs as well (arXiv 2403.07750).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np

from synthpairs.core.config import Within
from synthpairs.core.storage import read_json, read_table
from synthpairs.generation.masked.tokens import codebook_vectors, read_token_grids
from synthpairs.models.vq_tokenizer import read_codebook, tokenizer_folder

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """Section `mixing`: the training sets of the Synth2 arms."""

    seed: int
    draws: Annotated[int, Within(1)]  # pairs that an arm trains on, repetitions included
    synthetic: dict[str, Annotated[float, Within(0, 1)]]  # share of the draws, by arm


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A caption with the VQ tokens uint16 [rows, columns] of a picture, and soft vectors [channels, rows, columns] if any."""

    key: str
    text: str
    tokens: np.ndarray
    soft: np.ndarray | None = None


def token_training_set(arm: str, params: Mixing, data: Path, tokenizer: str) -> tuple[Iterator, dict[str, int]]:
    """The training set of an arm: (key, caption, vectors float32 [channels, rows, columns]) in training order; and counts.

    Vectors are of the codebook of the pipeline `tokenizer` (resampler.tokenizer); soft ones are rescaled to the mean and
    spread of those of their tokens. A source without any pair gives no draws. ValueError when the arm has no share in params,
    FileNotFoundError when a stage has not run.
    """
    if arm not in params.synthetic:
        raise ValueError(f"params.yaml: mixing.synthetic has no share for {arm}, which stands in token_arms")
    num_synthetic = round(params.draws * params.synthetic[arm])
    num_real = params.draws - num_synthetic
    rng = np.random.default_rng(params.seed)
    real = _draw(real_pairs(data / "real_pairs"), num_real, rng) if num_real else []
    synthetic = _draw(generated_pairs(data / "generated_tokens"), num_synthetic, rng) if num_synthetic else []
    counts: dict[str, int] = {}
    for name, draws in (("real", real), ("synthetic", synthetic)):
        counts |= {f"{name}_draws": len(draws), f"{name}_pairs": len({pair.key for pair in draws})}
    pairs = [*real, *synthetic]
    order = rng.permutation(len(pairs))
    codebook = read_codebook(tokenizer_folder(tokenizer, "resampler.tokenizer"), "params.yaml: resampler.tokenizer")
    return _with_vectors([pairs[number] for number in order], codebook), counts


def _draw(pairs: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """The first `count` pairs; of fewer, shuffled passes over all of them, the last pass in part."""
    if not pairs:
        return []
    passes = [rng.permutation(len(pairs)) for _ in range(-(-count // len(pairs)))] if count > len(pairs) else []
    order = np.concatenate(passes) if passes else np.arange(len(pairs))
    return [pairs[number] for number in order[:count]]


def real_pairs(directory: Path) -> list[TokenPair]:
    """The pairs that the stage `encode_real_pairs` encoded, in their order."""
    rows = read_table(directory / "pairs.parquet", "dvc repro encode_real_pairs")
    grid = read_json(directory / "list.json", "dvc repro encode_real_pairs", ["grid"])["grid"]
    columns = zip(rows["key"], rows["text"], rows["tokens"], strict=True)
    return [TokenPair(key, text, tokens.reshape(grid)) for key, text, tokens in columns]


def generated_pairs(directory: Path) -> list[TokenPair]:
    """The pairs that the stage `generate_tokens` generated, by key."""
    return [TokenPair(*sample) for sample in read_token_grids(directory)]


def _with_vectors(pairs: Sequence[TokenPair], codebook: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    soft = [pair for pair in pairs if pair.soft is not None]
    scale = soft_scale(soft, codebook) if soft else None
    for pair in pairs:
        if pair.soft is None or scale is None:
            yield pair.key, pair.text, codebook_vectors(pair.tokens[None], codebook)[0]
        else:
            yield pair.key, pair.text, pair.soft * scale[0] + scale[1]


def soft_scale(pairs: Sequence[TokenPair], codebook: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset [channels, 1, 1] that give soft vectors the mean and spread of the codebook vectors of their tokens.

    An expected vector averages codebook vectors, so it is smaller than those that a vision tower's quantiser gives.
    """
    hard = codebook_vectors(np.stack([pair.tokens for pair in pairs]), codebook)
    soft = np.stack([pair.soft for pair in pairs if pair.soft is not None]).astype(np.float32)
    axes = (0, 2, 3)
    factor = hard.std(axes) / soft.std(axes).clip(1e-6)
    offset = hard.mean(axes) - factor * soft.mean(axes)
    return factor[:, None, None], offset[:, None, None]
