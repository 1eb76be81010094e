"""Everything that the report is about, read once and checked: what is missing is named with the stage that makes it."""

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.core.arms import UNTRAINED
from synthpairs.core.storage import read_table

METRICS = Path("reports/metrics")
BENCHMARKS = Path("reports/benchmarks")
DESK_MODELS = Path("models/desk/metrics.json")
STAGES = ("tasks", "captions", "images", "scores", "select", "audit")  # with one metrics file each
RESULTS = ["arm", "task", "metric", "higher_is_better", "value", "low", "high", "n", "blind_value", "blind_low", "blind_high",
           "gain", "gain_low", "gain_high"]  # fmt: skip
TRAININGS = ("align", "finetune")  # with one metrics file per arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Arms and what their trainings and benchmarks gave; `results` has the columns of `results_table`."""

    arms: tuple[str, ...]  # that were trained, in the order in which they are shown
    trainings: dict[str, dict[str, dict[str, Any]]]  # by stage, then arm
    # By arm, and after them `untrained` where it was asked too: the file as it is.
    benchmarks: dict[str, dict[str, Any]]
    results: pd.DataFrame
    fixed_answers: dict[str, float]  # by task: what the best fixed answer to each kind of question scores; not for all
    answers: dict[str, pd.DataFrame]  # by arm, as `benchmarks`

    @property
    def tested(self) -> tuple[str, ...]:
        """The arms, and `untrained` where it was asked too."""
        return tuple(self.benchmarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs(Comparison):
    """What the stages of the pictures' route made. Tables have the columns of `schema`."""

    metrics: dict[str, dict[str, Any]]  # by stage
    kept: pd.DataFrame
    rejected: pd.DataFrame
    manifest: pd.DataFrame
    unmade: pd.DataFrame  # pictures that failed
    generator: dict[str, Any]  # generator.json of the pictures
    audit: pd.DataFrame
    scores: pd.DataFrame
    unscored: pd.DataFrame
    selected: pd.DataFrame
    pairs: dict[str, pd.DataFrame]  # by arm
    desk_models: dict[str, Any] | None  # None: they were not measured


def read_inputs(arms: Sequence[str], root: Path = Path()) -> Inputs:
    """Read all of it; FileNotFoundError says which stage to run for what is not there."""
    data = root / "data"
    return Inputs(
        **read_comparison(arms, (*arms, UNTRAINED), root),
        metrics={stage: read_json(root / METRICS / f"{stage}.json", f"dvc repro {stage}") for stage in STAGES},
        kept=read_table(data / "captions/kept.parquet", "dvc repro captions"),
        rejected=read_table(data / "captions/rejected.parquet", "dvc repro captions"),
        manifest=read_table(data / "images/manifest.parquet", "dvc repro images"),
        unmade=read_table(data / "images/failed.parquet", "dvc repro images"),
        generator=read_json(data / "images/generator.json", "dvc repro images", ["inputs"]),
        audit=read_table(data / "audit/audit.parquet", "dvc repro audit"),
        scores=read_table(data / "scores/scores.parquet", "dvc repro scores"),
        unscored=read_table(data / "scores/failed.parquet", "dvc repro scores"),
        selected=read_table(data / "selection/selected.parquet", "dvc repro select"),
        pairs={arm: read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select") for arm in arms},
        desk_models=read_desk_models(root),
    )


def read_comparison(arms: Sequence[str], tested: Sequence[str], root: Path, route: str = "") -> dict[str, Any]:
    """The fields of a Comparison; its stages are called `align`, `finetune`, `benchmark`, each followed by `route`."""
    asked = f"dvc repro benchmark{route}"
    benchmarks = {arm: read_json(root / BENCHMARKS / f"{arm}.json", asked) for arm in tested}
    levels = read_json(root / METRICS / "tasks.json", "dvc repro tasks").get("benchmarks", {})
    return {
        "arms": tuple(arms),
        "trainings": {
            stage: {arm: read_json(root / METRICS / stage / f"{arm}.json", f"dvc repro {stage}{route}") for arm in arms}
            for stage in TRAININGS
        },
        "benchmarks": benchmarks,
        "results": results_table(benchmarks, asked),
        "fixed_answers": {task: level["majority"] for task, level in levels.items() if "majority" in level},
        "answers": {arm: read_table(root / BENCHMARKS / f"items/{arm}.parquet", asked) for arm in tested},
    }


def read_desk_models(root: Path) -> dict[str, Any] | None:
    """How good the desk models are; None: they were not measured."""
    path = root / DESK_MODELS
    return read_json(path, "python -m desk_models.publish") if path.exists() else None


def read_json(path: Path, command: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """A JSON object that has these keys; FileNotFoundError and ValueError name the file and the command that makes it."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run `{command}` first")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); delete it and run `{command}` again") from None
    if not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object; delete it and run `{command}` again")
    if missing := [key for key in keys if key not in value]:
        raise ValueError(f"{path}: {missing[0]} is missing; run `{command}` again")
    return value


def results_table(benchmarks: dict[str, dict[str, Any]], command: str) -> pd.DataFrame:
    """The arms' benchmark numbers, one row per arm and task; `command` is what asks the benchmarks.

    Columns: arm, task, metric, higher_is_better, value, low, high (95% interval), n, and for tasks that were also asked
    without the picture blind_value, blind_low, blind_high and gain, gain_low, gain_high (paired); else NaN.
    """
    rows = []
    every = sorted({task for tasks in benchmarks.values() for task in tasks})
    for arm, tasks in benchmarks.items():
        where = BENCHMARKS / f"{arm}.json"
        for task in every:
            if task not in tasks:
                raise ValueError(f"{where}: {task} is missing, other arms have it; run `{command}` again")
            numbers = tasks[task]
            row = {"arm": arm, "task": task}
            try:
                row |= {name: numbers[name] for name in ("metric", "higher_is_better", "value", "low", "high", "n")}
            except KeyError as error:
                raise ValueError(f"{where}: {task} has no {error}; run `{command}` again") from None
            blind, gain = numbers.get("blind", {}), numbers.get("gain", {})
            row |= {f"blind_{name}": blind.get(name, math.nan) for name in ("value", "low", "high")}
            row |= {"gain": gain.get("value", math.nan)}
            row |= {f"gain_{name}": gain.get(name, math.nan) for name in ("low", "high")}
            rows.append(row)
    return pd.DataFrame(rows, columns=RESULTS)
