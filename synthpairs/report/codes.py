"""What the Synth2 route made, read once and checked; and which of its pairs are shown beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.core.storage import read_table
from synthpairs.report.inputs import METRICS, Comparison, read_comparison, read_desk_models, read_json
from synthpairs.report.samples import sample

REAL, MIXED, SYNTHETIC = "real-codes", "genpair", "synthetic"  # arms; the others are compared with the first
STAGES = ("invent", "screen", "pairs", "embed")  # with one metrics file each
CURVES, CURVES_COMMAND = Path("reports/experiments/learning_curves.json"), "make experiments"
SPEED, SPEED_COMMAND = Path("reports/speed.json"), "make speed"
CURVES_KEYS = ("measure", "task", "n", "seeds", "steps", "arms", "reached")
SPEED_KEYS = ("n_runs", "steps_per_s", "ratio", "bytes_per_sample", "peak_memory_mib", "machine", "where", "align")


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes(Comparison):
    """What the route's stages and its two makers of evidence made; the tables have columns key, text and concept."""

    metrics: dict[str, dict[str, Any]]  # by stage
    generated: pd.DataFrame  # also uid: the captions' candidates
    real: pd.DataFrame  # pairs that the arms learn from
    diversity: dict[str, Any]
    curves: dict[str, Any]
    speed: dict[str, Any]
    desk_models: dict[str, Any] | None  # None: they were not measured


def read_codes(arms: Sequence[str], root: Path = Path()) -> Codes:
    """Read all of it; FileNotFoundError says what to run for what is not there."""
    data = root / "data"
    generated = read_table(data / "embedded/manifest.parquet", "dvc repro embed")
    real = read_table(data / "pairs/pairs.parquet", "dvc repro pairs")
    return Codes(
        **read_comparison(arms, arms, root, "-codes"),
        metrics={stage: read_json(root / METRICS / f"{stage}.json", f"dvc repro {stage}") for stage in STAGES},
        generated=generated[["key", "uid", "text", "concept"]],
        real=real[["key", "text", "concept"]],
        diversity=read_json(root / "reports/diversity.json", "dvc repro diversity", ["too_few"]),
        curves=read_json(root / CURVES, CURVES_COMMAND, CURVES_KEYS),
        speed=read_json(root / SPEED, SPEED_COMMAND, SPEED_KEYS),
        desk_models=read_desk_models(root),
    )


def couples(generated: pd.DataFrame, real: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """`count` generated pairs of different captions, each followed by a real one of its concept, as far as there is one."""
    chosen = sample(generated.sort_values("key").drop_duplicates("uid"), count, seed)
    ordered, rng = real.sort_values("key", ignore_index=True), np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for one in chosen.to_dict("records"):
        alike = ordered[ordered["concept"] == one["concept"]]
        among = ordered if alike.empty else alike
        rows += [one, among.iloc[rng.integers(len(among))].to_dict()]
    return pd.DataFrame(rows, columns=["key", "text", "concept"])
