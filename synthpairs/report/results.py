"""Results of the stages that the report shows, read from data/, reports/ and models/ and checked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from synthpairs.captions.reasons import REASONS
from synthpairs.core.arms import UNTRAINED
from synthpairs.core.storage import read_json, read_table

METRICS = Path("reports/metrics")
BENCHMARKS = Path("reports/benchmarks")
DESK_MODELS = Path("models/desk/metrics.json")
TRAININGS = ("pretrain", "finetune")  # stages with one metrics file per arm
SYNTH2_STAGES = (
    "class_captions",
    "filter_captions",
    "encode_real_pairs",
    "generate_tokens",
)  # with one metrics file each
REAL, MIXED, SYNTHETIC = "real-tokens", "genpair", "synthetic"  # arms of the Synth2 route; REAL is the baseline
NUMBERS = ("metric", "higher_is_better", "value", "low", "high", "n")  # of a benchmark's result
EXPERIMENTS = {"learning_curves": "make experiments", "speed": "make speed"}  # that test claims, and what makes them
KEPT, REJECTED = ["uid", "source", "drawings"], ["uid", "text", "source", "reason", "detail"]  # of the caption tables
RESULTS = ["arm", "task", *NUMBERS, "blind_value", "blind_low", "blind_high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmResults:
    """Trainings and benchmarks of some arms; `results` has the columns of `results_table`."""

    arms: tuple[str, ...]  # trained ones, in the order in which they are shown
    trainings: dict[str, dict[str, dict[str, Any]]]  # by stage, then arm
    benchmarks: dict[str, dict[str, Any]]  # by arm, `untrained` last where it was evaluated
    results: pd.DataFrame
    fixed_answers: dict[str, float]  # score of the best fixed answer, by task; not for every task
    answers: dict[str, pd.DataFrame]  # by arm, as `benchmarks`
    desk_models: dict[str, Any] | None  # None: not measured

    @property
    def evaluated(self) -> tuple[str, ...]:
        """The arms, and `untrained` where it was evaluated too."""
        return tuple(self.benchmarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthVLMResults(ArmResults):
    """Results of the SynthVLM route; tables have the columns of `schema`."""

    caption_metrics: dict[str, Any]
    contamination_metrics: dict[str, Any]
    kept: pd.DataFrame  # columns KEPT
    rejected: pd.DataFrame  # columns REJECTED, the reason in words
    manifest: pd.DataFrame
    failed: pd.DataFrame  # images that could not be generated
    generator: dict[str, Any]  # generator.json of the images
    contamination: pd.DataFrame
    scores: pd.DataFrame
    selected: pd.DataFrame
    pairs: dict[str, pd.DataFrame]  # by arm
    preference: dict[str, Any]
    perplexity: dict[str, Any]
    distributions: dict[str, Any]

    @property
    def desk(self) -> bool:
        """Whether the images are the desk generator's."""
        return bool(self.generator["inputs"]["model"].startswith(f"{DESK_MODELS.parent}/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Synth2Results(ArmResults):
    """Results of the Synth2 route; its tables of pairs have the columns key, text and concept."""

    metrics: dict[str, dict[str, Any]]  # by stage
    generated: pd.DataFrame  # has also uid, which the candidates of a caption share
    real: pd.DataFrame  # pairs that the arms are trained on
    diversity: dict[str, Any]
    experiments: dict[str, Any]  # of claims that no run tests, by name; at desk scale alone, whose results are in git


def read_synthvlm_results(arms: Sequence[str], root: Path = Path()) -> SynthVLMResults:
    """Read everything; FileNotFoundError names the command that makes a missing file."""
    data, reports = root / "data", root / "reports"
    rejected = read_table(data / "captions/rejected.parquet", "dvc repro captions", REJECTED)
    return SynthVLMResults(
        **_arm_results(arms, (*arms, UNTRAINED), root),
        caption_metrics=read_json(root / METRICS / "captions.json", "dvc repro captions"),
        contamination_metrics=read_json(root / METRICS / "contamination.json", "dvc repro contamination"),
        kept=read_table(data / "captions/kept.parquet", "dvc repro captions", KEPT),
        rejected=rejected.replace({"reason": REASONS}),
        manifest=read_table(data / "images/manifest.parquet", "dvc repro images"),
        failed=read_table(data / "images/failed.parquet", "dvc repro images"),
        generator=read_json(data / "images/generator.json", "dvc repro images", ["inputs"]),
        contamination=read_table(data / "contamination/contamination.parquet", "dvc repro contamination"),
        scores=read_table(data / "scores/scores.parquet", "dvc repro scores"),
        selected=read_table(data / "selection/selected.parquet", "dvc repro select"),
        pairs={arm: read_table(data / f"selection/pairs/{arm}.parquet", "dvc repro select") for arm in arms},
        preference=read_json(reports / "preference.json", "dvc repro preference", ["not_asked"]),
        perplexity=read_json(reports / "perplexity.json", "dvc repro perplexity", ["left_out"]),
        distributions=read_json(reports / "distributions.json", "dvc repro distributions", ["captions_with_both"]),
    )


def read_synth2_results(arms: Sequence[str], root: Path = Path()) -> Synth2Results:
    """Read everything; FileNotFoundError names the command that makes a missing file."""
    data, reports = root / "data", root / "reports"
    generated = read_table(data / "generated_tokens/manifest.parquet", "dvc repro generate_tokens")
    real = read_table(data / "real_pairs/pairs.parquet", "dvc repro encode_real_pairs", ["key", "text", "concept"])
    metrics = {stage: read_json(root / METRICS / f"{stage}.json", f"dvc repro {stage}") for stage in SYNTH2_STAGES}
    desk = "scenes" in metrics["encode_real_pairs"]
    made_by = {reports / f"experiments/{name}.json": command for name, command in EXPERIMENTS.items() if desk}
    return Synth2Results(
        **_arm_results(arms, arms, root, "_tokens"),
        metrics=metrics,
        generated=generated[["key", "uid", "text", "concept"]],
        real=real,
        diversity=read_json(reports / "diversity.json", "dvc repro diversity", ["too_few"]),
        experiments={path.stem: read_json(path, command) for path, command in made_by.items() if path.exists()},
    )


def _arm_results(arms: Sequence[str], evaluated: Sequence[str], root: Path, suffix: str = "") -> dict[str, Any]:
    """The fields of ArmResults, by the stages `pretrain`, `finetune` and `benchmark`, each followed by `suffix`."""
    command = f"dvc repro benchmark{suffix}"
    benchmarks = {arm: read_json(root / BENCHMARKS / f"{arm}.json", command) for arm in evaluated}
    tasks = read_json(root / METRICS / "tasks.json", "dvc repro tasks").get("benchmarks", {})
    desk_models = root / DESK_MODELS
    return {
        "arms": tuple(arms),
        "trainings": {
            stage: {
                arm: read_json(root / METRICS / stage / f"{arm}.json", f"dvc repro {stage}{suffix}") for arm in arms
            }
            for stage in TRAININGS
        },
        "benchmarks": benchmarks,
        "results": results_table(benchmarks, command),
        "fixed_answers": {task: numbers["majority"] for task, numbers in tasks.items() if "majority" in numbers},
        "answers": {arm: read_table(root / BENCHMARKS / f"items/{arm}.parquet", command) for arm in evaluated},
        "desk_models": read_json(desk_models, "python -m desk_models.publish") if desk_models.exists() else None,
    }


def results_table(benchmarks: dict[str, dict[str, Any]], command: str) -> pd.DataFrame:
    """Benchmark results with one row per arm and task; `command` is what runs the benchmarks.

    Columns: arm, task, metric, higher_is_better, value, low, high (95% interval), n; for tasks that were also evaluated
    without the image blind_value, blind_low, blind_high, else NaN.
    """
    rows = []
    tasks = sorted({task for by_task in benchmarks.values() for task in by_task})
    for arm, by_task in benchmarks.items():
        path = BENCHMARKS / f"{arm}.json"
        for task in tasks:
            if task not in by_task:
                raise ValueError(f"{path}: {task} is missing, other arms have it; run `{command}` again")
            numbers, blind = by_task[task], by_task[task].get("blind", {})
            if missing := [name for name in NUMBERS if name not in numbers]:
                raise ValueError(f"{path}: {task} has no {missing[0]}; run `{command}` again")
            row = {"arm": arm, "task": task} | {name: numbers[name] for name in NUMBERS}
            rows.append(row | {f"blind_{name}": blind.get(name, math.nan) for name in ("value", "low", "high")})
    return pd.DataFrame(rows, columns=RESULTS)
