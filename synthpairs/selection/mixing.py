"""Training sets of the Synth2 arms: real and generated pairs of VQ tokens and captions, in a given proportion.

All arms train for equally many steps on equally many draws, so they differ only in where the pairs come from. An arm that mixes
draws only its share of the real pairs. Synth2 mixes real with generated pairs as well (arXiv 2403.07750).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthpairs.core.config import Seed, Within
from synthpairs.core.storage import Slice, file_sha256, read_json
from synthpairs.generation.masked.tokens import check_tokens, codebook_vectors, read_token_grids
from synthpairs.models.vq_tokenizer import WEIGHTS, TokenPicture, read_codebook, tokenizer_folder

SCALED_BY = 4096  # pairs whose soft vectors are compared with the codebook's


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixing:
    """Section `mixing`: the training sets of the Synth2 arms."""

    seed: Seed
    draws: Annotated[int, Within(1)]  # pairs that an arm trains on, repetitions included
    synthetic: dict[str, Annotated[float, Within(0, 1)]]  # share of the draws, by arm


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A caption with the VQ tokens uint16 [rows, columns] of a picture, and where its soft vectors are if it has any."""

    key: str
    text: str
    tokens: np.ndarray
    soft: Slice | None = None


def token_training_set(arm: str, params: Mixing, data: Path, tokenizer: str) -> tuple[Iterator, dict[str, int]]:
    """The training set of an arm: (key, caption, TokenPicture) in training order; and counts.

    Vectors are of the codebook of the pipeline `tokenizer` (resampler.tokenizer); soft ones are rescaled to the mean and
    spread of those of their tokens. A source without any pair gives no draws. ValueError when the arm has no share in params,
    FileNotFoundError when a stage has not run.
    """
    if arm not in params.synthetic:
        raise ValueError(f"params.yaml: mixing.synthetic has no share for {arm}, which stands in token_arms")
    num_synthetic = round(params.draws * params.synthetic[arm])
    num_real = params.draws - num_synthetic
    rng = np.random.default_rng(params.seed)
    real = real_pairs(data / "real_pairs") if num_real else []
    synthetic = generated_pairs(data / "generated_tokens") if num_synthetic else []
    real_draws, synthetic_draws = _draw(len(real), num_real, rng), _draw(len(synthetic), num_synthetic, rng)
    counts: dict[str, int] = {}
    for name, draws in (("real", real_draws), ("synthetic", synthetic_draws)):
        counts |= {f"{name}_draws": len(draws), f"{name}_pairs": len(np.unique(draws))}
    draws_of_both = np.concatenate([real_draws, len(real) + synthetic_draws])
    order = draws_of_both[rng.permutation(len(draws_of_both))]
    pipeline = tokenizer_folder(tokenizer, "resampler.tokenizer")
    codebook = read_codebook(pipeline, "params.yaml: resampler.tokenizer")
    for folder, made in (("generated_tokens", len(synthetic)), ("real_pairs", len(real))):
        if made:
            _check_tokenizer(data / folder, pipeline, tokenizer)
    scale = soft_scale([synthetic[number] for number in np.unique(synthetic_draws)[:SCALED_BY]], codebook)
    pairs = (real[number] if number < len(real) else synthetic[number - len(real)] for number in order.tolist())
    return _with_pictures(pairs, codebook, scale), counts


def _check_tokenizer(directory: Path, pipeline: Path, name: str) -> None:
    """ValueError where the directory records that its tokens are of another VQ tokenizer, in which they mean other things."""
    stage, file = (
        ("generate_tokens", "generator.json")
        if (directory / "generator.json").exists()
        else ("encode_real_pairs", "list.json")
    )
    record = directory / file
    document = read_json(record, f"dvc repro {stage}")
    made_by = document.get("inputs", document).get("files", {}).get(WEIGHTS)
    if made_by not in (None, file_sha256(pipeline / WEIGHTS)):
        raise ValueError(
            f"{record}: the VQ tokens are those of another tokenizer than {name}: name one model as params.yaml: "
            "resampler.tokenizer, encode_real_pairs.tokenizer and generate_tokens.generator"
        )


def _draw(available: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the first `count` of the available pairs; of fewer, shuffled passes over all, the last pass in part."""
    passes = [rng.permutation(available) for _ in range(-(-count // available))] if 0 < available < count else []
    return np.concatenate(passes)[:count] if passes else np.arange(min(available, count))


class _TablePairs(Sequence[TokenPair]):
    """Rows of REAL_PAIRS as Arrow holds them: ten million with 256 tokens each in 8 GB."""

    def __init__(self, table: pa.Table, grid: Sequence[int]) -> None:
        self._table, self._grid = table, grid

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> TokenPair:  # type: ignore[override]
        key, text, tokens = (self._table[name][index] for name in ("key", "text", "tokens"))
        return TokenPair(key.as_py(), text.as_py(), tokens.values.to_numpy().reshape(self._grid))


def real_pairs(directory: Path) -> Sequence[TokenPair]:
    """The pairs that the stage `encode_real_pairs` encoded, in their order."""
    path = directory / "pairs.parquet"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro encode_real_pairs` first")
    grid = read_json(directory / "list.json", "dvc repro encode_real_pairs", ["grid"])["grid"]
    return _TablePairs(pq.read_table(path, columns=["key", "text", "tokens"]), grid)


def generated_pairs(directory: Path) -> list[TokenPair]:
    """The pairs that the stage `generate_tokens` generated, by key."""
    return [TokenPair(*sample) for sample in read_token_grids(directory)]


def _with_pictures(
    pairs: Iterable[TokenPair], codebook: np.ndarray, scale: tuple[np.ndarray, np.ndarray] | None
) -> Iterator[tuple[str, str, TokenPicture]]:
    for pair in pairs:
        check_tokens(pair.tokens, len(codebook))
        yield pair.key, pair.text, TokenPicture(pair.tokens, codebook, pair.soft, scale)


def soft_scale(pairs: Sequence[TokenPair], codebook: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Factor and offset [channels, 1, 1] that give soft vectors the mean and spread of the codebook vectors of their tokens.

    An expected vector averages codebook vectors, so it is smaller than those that a vision tower's quantiser gives. None where
    no pair has soft vectors.
    """
    pairs = [pair for pair in pairs if pair.soft is not None]
    if not pairs:
        return None
    hard = codebook_vectors(np.stack([pair.tokens for pair in pairs]), codebook)
    soft = np.stack([TokenPicture(pair.tokens, codebook, pair.soft).vectors() for pair in pairs])
    axes = (0, 2, 3)
    factor = hard.std(axes) / soft.std(axes).clip(1e-6)
    offset = hard.mean(axes) - factor * soft.mean(axes)
    return factor[:, None, None], offset[:, None, None]
