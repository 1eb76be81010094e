"""From screened captions to data/embedded: token grids filled by the masked generator."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from synthpairs.generation.batch import Craft
from synthpairs.generation.candidates import make_candidates
from synthpairs.generation.masked.codes import encoded
from synthpairs.generation.masked.generator import MaskedGenerator
from synthpairs.generation.masked.params import RECIPE, Embed


def make_embeddings(captions: pd.DataFrame, params: Embed, out: Path) -> tuple[dict, dict]:
    """Write `out` as make_candidates does, a token grid to a sample; returns metrics, tracked and not.

    `tokens` holds little-endian uint16 by rows, `vectors` (if soft) float16 [channels, rows, columns], and the json their grid.
    """
    return make_candidates(captions, partial(grid_craft, MaskedGenerator, params), out)


def grid_craft(kind: type[MaskedGenerator], params: Embed) -> Craft:
    """How token grids are made, by a generator of this kind."""
    generator = kind(params)
    codes = len(generator.codebook)

    def make(keys: Sequence[str], texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray | None]]:
        tokens, vectors = generator.decode(keys, texts)
        return list(zip(tokens, [None] * len(keys) if vectors is None else vectors, strict=True))

    return Craft(
        stage="embed",
        noun="embedding",
        generator=generator,
        make=make,
        encode=lambda result: encoded(result[0], result[1], codes),
        told={"grid": list(generator.grid)},
        recipe=RECIPE,
    )
