"""Stage `generate_tokens`: from filtered generated captions to VQ token grids in data/generated_tokens."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.generation.batch import GenerationSpec
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.params import RECIPE, GenerateTokens
from synthpairs.generation.masked.tokens import encoded


def make_token_grids(captions: pd.DataFrame, params: GenerateTokens, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, with one token grid per sample; returns metrics, tracked and not.

    File `tokens`: uint16 [rows, columns]; `vectors` (if soft): float16 [channels, rows, columns]; both little-endian. The
    sample's json has the grid.
    """
    return make_candidates(captions, partial(token_spec, params), out)


def token_spec(params: GenerateTokens) -> GenerationSpec:
    """The spec of token grids; loads the generator."""
    generator = MaskedGenerator(params)
    codes = len(generator.codebook)

    def generate(keys: Sequence[str], texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray | None]]:
        tokens, vectors = generator.decode(keys, texts)
        return list(zip(tokens, [None] * len(keys) if vectors is None else vectors, strict=True))

    return GenerationSpec(
        stage="generate_tokens",
        noun="token grid",
        generator=generator,
        generate=generate,
        encode=lambda result: encoded(result[0], result[1], codes),
        json_fields={"grid": list(generator.grid)},
        recipe=RECIPE,
    )
