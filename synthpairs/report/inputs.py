"""Everything that the report is about, read once and checked: what is missing is named with the stage that makes it."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.arms import UNTRAINED
from synthpairs.storage import read_table

METRICS = Path("reports/metrics")
BENCHMARKS = Path("reports/benchmarks")
DESK_MODELS = Path("models/desk/metrics.json")
STAGES = ("tasks", "captions", "images", "scores", "select")  # with one metrics file each
TRAININGS = ("align", "finetune")  # with one metrics file per arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the other stages made. Tables have the columns of `schema`; `results` has those of `results_table`."""

    arms: tuple[str, ...]  # that were trained, in the order in which they are shown
    metrics: dict[str, dict[str, Any]]  # by stage
    trainings: dict[str, dict[str, dict[str, Any]]]  # by stage, then arm
    kept: pd.DataFrame
    rejected: pd.DataFrame
    manifest: pd.DataFrame
    unmade: pd.DataFrame  # pictures that failed
    scores: pd.DataFrame
    unscored: pd.DataFrame
    selected: pd.DataFrame
    pairs: dict[str, pd.DataFrame]  # by arm
    benchmarks: dict[str, dict[str, Any]]  # by arm, with `untrained`: the file as it is
    results: pd.DataFrame
    fixed_answers: dict[str, float]  # by task: what the best fixed answer to each kind of question scores; not for all
    answers: dict[str, pd.DataFrame]  # by arm, with `untrained`
    desk_models: dict[str, Any] | None  # None: they were not measured


def read_inputs(arms: Sequence[str], root: Path = Path()) -> Inputs:
    """Read all of it; FileNotFoundError says which stage to run for what is not there."""
    data = root / "data"
    tested = (*arms, UNTRAINED)
    desk_models = root / DESK_MODELS
    metrics = {stage: read_json(root / METRICS / f"{stage}.json", stage) for stage in STAGES}
    benchmarks = {arm: read_json(root / BENCHMARKS / f"{arm}.json", "benchmark") for arm in tested}
    return Inputs(
        arms=tuple(arms),
        metrics=metrics,
        trainings={
            stage: {arm: read_json(root / METRICS / stage / f"{arm}.json", stage) for arm in arms}
            for stage in TRAININGS
        },
        kept=read_table(data / "captions/kept.parquet", "dvc repro captions"),
        rejected=read_table(data / "captions/rejected.parquet", "dvc repro captions"),
        manifest=read_table(data / "images/manifest.parquet", "dvc repro images"),
        unmade=read_table(data / "images/failed.parquet", "dvc repro images"),
        scores=read_table(data / "scores/scores.parquet", "dvc repro scores"),
        unscored=read_table(data / "scores/failed.parquet", "dvc repro scores"),
        selected=read_table(data / "selected/selected.parquet", "dvc repro select"),
        pairs={arm: read_table(data / f"selected/pairs/{arm}.parquet", "dvc repro select") for arm in arms},
        benchmarks=benchmarks,
        results=results_table(benchmarks),
        fixed_answers={
            task: levels["majority"]
            for task, levels in metrics["tasks"].get("benchmarks", {}).items()
            if "majority" in levels
        },
        answers={arm: read_table(root / BENCHMARKS / f"items/{arm}.parquet", "dvc repro benchmark") for arm in tested},
        desk_models=read_json(desk_models, "") if desk_models.exists() else None,
    )


def read_json(path: Path, stage: str) -> dict[str, Any]:
    """A JSON object; FileNotFoundError and ValueError name the file and the stage that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `dvc repro {stage}` first")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run `dvc repro {stage}` again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object; delete it and run `dvc repro {stage}` again")
    return value


def results_table(benchmarks: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The arms' benchmark numbers, one row per arm and task.

    Columns: arm, task, metric, higher_is_better, value, low, high (95% interval), n, and for tasks that were also asked
    without the picture blind_value, blind_low, blind_high and gain, gain_low, gain_high (paired); else NaN.
    """
    rows = []
    every = sorted({task for tasks in benchmarks.values() for task in tasks})
    for arm, tasks in benchmarks.items():
        where = BENCHMARKS / f"{arm}.json"
        for task in every:
            if task not in tasks:
                raise ValueError(f"{where}: {task} is missing, other arms have it; run `dvc repro benchmark` again")
            numbers = tasks[task]
            row = {"arm": arm, "task": task}
            try:
                row |= {name: numbers[name] for name in ("metric", "higher_is_better", "value", "low", "high", "n")}
            except KeyError as error:
                raise ValueError(f"{where}: {task} has no {error}; run `dvc repro benchmark` again") from None
            blind, gain = numbers.get("blind", {}), numbers.get("gain", {})
            row |= {f"blind_{name}": blind.get(name, math.nan) for name in ("value", "low", "high")}
            row |= {"gain": gain.get("value", math.nan)}
            row |= {f"gain_{name}": gain.get(name, math.nan) for name in ("low", "high")}
            rows.append(row)
    return pd.DataFrame(rows)
