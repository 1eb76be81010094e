"""Params and training data of the desk models: the drawings, and the scenes of section `encode_real_pairs` of params.yaml."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from synthpairs.core.config import load_params, read_mapping
from synthpairs.emoji.drawings import drawings_of_split
from synthpairs.emoji.pool import Pool, compose
from synthpairs.generation.vq_pairs.params import RealPairs

CLIPS = ("clip", "second_clip")  # sections of desk_models/params.yaml and names of the models


def params(section: str | None = None) -> dict:
    """desk_models/params.yaml, or one section of it."""
    values = read_mapping(Path("desk_models/params.yaml"))
    return values[section] if section else values


def chosen(program: str, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The known names among a program's arguments, or all without any; ValueError for an unknown one."""
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"python -m desk_models.{program}: no part {unknown[0]!r}; parts are {', '.join(known)}")
    return [name for name in known if not names or name in names]


def trained_concepts() -> list[str]:
    """Concepts of section `world` of the main params.yaml."""
    return load_params(dict[str, list[str]], "world")["concepts"]


def load_drawings() -> pd.DataFrame:
    """Table of the emoji drawings."""
    return pd.read_parquet("data/emoji/drawings.parquet")


def training_rows() -> list[dict]:
    """The training drawings of the trained concepts."""
    return list(drawings_of_split(load_drawings(), "train", trained_concepts()))


def training_pool() -> Pool:
    """All scenes of the pair list with their pictures, the only training data."""
    pairs = load_params(RealPairs, "encode_real_pairs")
    return compose(training_rows(), pairs.seed, pairs.scenes, pairs.kinds)
