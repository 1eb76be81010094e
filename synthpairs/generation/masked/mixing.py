"""The training sets of the Synth2 route: real pairs, generated ones, or both, in the same number of draws.

All arms train for equally many steps on equally many draws, so what differs is where the pairs come from. An arm that mixes
sees only its share of the real pairs. Synth2 too mixes real pairs with generated ones (arXiv 2403.07750).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np

from synthpairs.core.config import Within
from synthpairs.core.storage import read_table
from synthpairs.generation.masked.codes import read_codes, vectors_of
from synthpairs.models.vq_tokenizer import read_codebook, tokenizer_folder

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """Section `mixing`: what the arms of the Synth2 route are made of."""

    seed: int
    draws: Annotated[int, Within(1)]  # pairs that an arm trains on, repeats counted
    synthetic: dict[str, Annotated[float, Within(0, 1)]]  # share of the draws, by arm


@dataclass(frozen=True, slots=True)
class CodedPair:
    """A caption and its picture: codes uint16 [rows, columns], and soft vectors [channels, rows, columns] if there are any."""

    key: str
    text: str
    codes: np.ndarray
    soft: np.ndarray | None = None


def mixed(arm: str, params: Mixing, data: Path, tokenizer: str) -> tuple[Iterator, dict[str, int]]:
    """(key, caption, vectors float32 [channels, rows, columns]) of every draw of an arm in order of training; and counts.

    Vectors are of the codebook of the pipeline `tokenizer` (resampler.tokenizer); soft ones are brought to the scale of those
    that they stand for. There are fewer draws where there is nothing to draw from: no caption may have been left to generate for.
    ValueError when the arm has no share, FileNotFoundError when what it needs was not made.
    """
    if arm not in params.synthetic:
        raise ValueError(f"params.yaml: mixing.synthetic has no share for {arm}, which stands in code_arms")
    synthetic = round(params.draws * params.synthetic[arm])
    real = params.draws - synthetic
    rng = np.random.default_rng(params.seed)
    draws = {
        "real": draw(real_pairs(data / "pairs"), real, rng) if real else [],
        "synthetic": draw(generated_pairs(data / "embedded"), synthetic, rng) if synthetic else [],
    }
    counts: dict[str, int] = {}
    for name, drawn in draws.items():
        counts |= {f"{name}_draws": len(drawn), f"{name}_pairs": len({pair.key for pair in drawn})}
    pairs = [*draws["real"], *draws["synthetic"]]
    order = rng.permutation(len(pairs))
    book = read_codebook(tokenizer_folder(tokenizer, "resampler.tokenizer"), "params.yaml: resampler.tokenizer")
    return _with_vectors([pairs[number] for number in order], book), counts


def draw(pairs: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    """The first `count` pairs; where there are fewer all of them, again and again, the last pass in part. None of none."""
    if not pairs:
        return []
    passes = [rng.permutation(len(pairs)) for _ in range(-(-count // len(pairs)))] if count > len(pairs) else []
    order = np.concatenate(passes) if passes else np.arange(len(pairs))
    return [pairs[number] for number in order[:count]]


def real_pairs(directory: Path) -> list[CodedPair]:
    """The encoded pairs of the list that the generator was trained on, in its order."""
    rows = read_table(directory / "pairs.parquet", "dvc repro pairs")
    grid = json.loads((directory / "list.json").read_text())["grid"]
    pairs = zip(rows["key"], rows["text"], rows["tokens"], strict=True)
    return [CodedPair(key, text, tokens.reshape(grid)) for key, text, tokens in pairs]


def generated_pairs(directory: Path) -> list[CodedPair]:
    """What the stage `embed` made, by key."""
    return [CodedPair(*sample) for sample in read_codes(directory)]


def _with_vectors(pairs: Sequence[CodedPair], codebook: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    soft = [pair for pair in pairs if pair.soft is not None]
    scale = scales(soft, codebook) if soft else None
    for pair in pairs:
        if pair.soft is None or scale is None:
            yield pair.key, pair.text, vectors_of(pair.codes[None], codebook)[0]
        else:
            yield pair.key, pair.text, pair.soft * scale[0] + scale[1]


def scales(pairs: Sequence[CodedPair], codebook: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor and offset [channels, 1, 1] that give soft vectors the mean and spread of their own codes' vectors.

    An expected vector lies between the codes that it hesitates between, so soft vectors are smaller than any eye's.
    """
    hard = vectors_of(np.stack([pair.codes for pair in pairs]), codebook)
    soft = np.stack([pair.soft for pair in pairs if pair.soft is not None]).astype(np.float32)
    axes = (0, 2, 3)
    factor = hard.std(axes) / soft.std(axes).clip(1e-6)
    offset = hard.mean(axes) - factor * soft.mean(axes)
    return factor[:, None, None], offset[:, None, None]
