"""Experiment `learning_curves`: captioning against the step of the alignment, for two arms of the Synth2 route.

Synth2's figure 5 shows its benchmark against the step of training. Here training is the alignment of the resampler, in which
the arms differ. A language model that has not met these tokens repeats a word at best (CIDEr-D 0.01, below blind), so before it
captions it reads for a few steps: the caption questions of the instruction data, the same for every point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synthpairs.core.plots import ACCENT, ACCENT_PALE, INK, MID, PALE, plot_style, png
from synthpairs.core.storage import read_table
from synthpairs.emoji.tasks.questions import WORDINGS
from synthpairs.evaluation.benchmarks.evaluation import answer_first
from synthpairs.experiments.params import LearningCurves
from synthpairs.experiments.trials import Setting, Trial, run_trials
from synthpairs.generation.masked.mixing import Mixing, mixed
from synthpairs.vlm.codes import WordResampler
from synthpairs.vlm.llava import finetune, save_projector
from synthpairs.vlm.model import load
from synthpairs.vlm.params import Resampler
from synthpairs.vlm.resampler_pretraining import align_codes

BASELINE, MIXED = "real-codes", "genpair"  # the arms: is the first's last value reached by the second, and when
TASK, MEASURE = "desk_caption", "cider_d"
DECIMALS = 6
# Line, marker, its fill, colour of the band and its hatching: the arms differ without colour too.
STYLES = {BASELINE: ("--", "o", "white", PALE, "...."), MIXED: ("-", "s", ACCENT, ACCENT_PALE, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurvesSetting(Setting):
    """The sections that the trials depend on; `align` and `finetune` are those of the Synth2 route."""

    learning_curves: LearningCurves
    mixing: Mixing
    resampler: Resampler
    batch: int  # questions answered together

    @property
    def steps(self) -> list[int]:
        """The steps of the alignment after which captions are asked for."""
        return self.learning_curves.steps(self.align.steps(self.mixing.draws))


def measure_learning_curves(setting: LearningCurvesSetting) -> dict[str, Any]:
    """{measure, task, n, seeds, steps, arms, reached}: of each arm the values [seed][step], and `first_reached` of them.

    FileNotFoundError names the command that makes what is missing.
    """
    read_table(setting.data / "pairs/pairs.parquet", "dvc repro pairs")
    read_table(setting.data / "embedded/manifest.parquet", "dvc repro embed")
    rows = caption_questions(setting.instructions())
    items = read_table(setting.data / f"tasks/{TASK}.parquet", "dvc repro tasks")
    seeds, steps = setting.learning_curves.seeds, setting.steps
    trials = [
        Trial(set=arm, seed=seed, run=partial(_trial, arm, setting.of_seed(seed), rows))
        for seed in seeds
        for arm in (BASELINE, MIXED)
    ]
    names = (
        "pairs",
        "embedded",
        *(f"tasks/{name}" for name in ("instructions.parquet", f"{TASK}.parquet", f"{TASK}.yaml")),
    )
    shape = replace(setting, learning_curves=replace(setting.learning_curves, seeds=[0]))
    answers = run_trials("learning_curves", shape.fingerprint(names, setting.resampler), trials)
    scores = answers.groupby(["set", "seed", "task"])["score"]
    means = {key: round(float(part.mean()), DECIMALS) for key, part in scores}
    arms = {arm: [[means[arm, seed, str(step)] for step in steps] for seed in seeds] for arm in (BASELINE, MIXED)}
    return {
        "measure": MEASURE,
        "task": TASK,
        "n": min(setting.learning_curves.items, len(items)),
        "seeds": seeds,
        "steps": steps,
        "arms": arms,
        "reached": first_reached(steps, arms[BASELINE], arms[MIXED]),
    }


def caption_questions(rows: pd.DataFrame) -> pd.DataFrame:
    """Of INSTRUCTIONS about pictures what asks for a caption, with its answer."""
    rows = rows[rows["picture"].notna()]
    turns = [[turn for turn in row if turn["question"] in WORDINGS["caption"]] for row in rows["turns"]]
    return rows.assign(turns=turns)[[bool(row) for row in turns]]


def first_reached(
    steps: Sequence[int], baseline: Sequence[Sequence[float]], others: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """The first step at which the others' mean over seeds is the baseline's last mean, None if at none; and that mean."""
    goal = float(np.mean(baseline, axis=0)[-1])
    reached = [step for step, value in zip(steps, np.mean(others, axis=0), strict=True) if value >= goal]
    return {"step": reached[0] if reached else None, "baseline": round(goal, DECIMALS)}


def _trial(arm: str, setting: LearningCurvesSetting, rows: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Answers after each of the steps, which is their `task`; the finished alignment is kept while they are asked for."""
    if not (work / "aligned").exists():

        def keep(step: int, projector: WordResampler) -> None:
            if step in setting.steps:
                (work / str(step)).mkdir(parents=True, exist_ok=True)
                save_projector(projector, work / str(step))

        pairs, _ = mixed(arm, setting.mixing, setting.data, setting.resampler.tokenizer)
        metrics = align_codes(pairs, setting.vlm, setting.resampler, setting.align, work / "aligned", keep)
        if metrics["steps"] != setting.steps[-1]:
            raise ValueError(
                f"{arm}: pairs are left out ({metrics['skipped']}), so the alignment ends at step {metrics['steps']}, not "
                f"{setting.steps[-1]}: raise align_codes.max_tokens in params.yaml"
            )
    tables = [caption_answers(work / str(step), setting, rows, work).assign(task=str(step)) for step in setting.steps]
    return pd.concat(tables, ignore_index=True)


def caption_answers(aligned: Path, setting: LearningCurvesSetting, rows: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Captions, as ANSWERS, after reading through the resampler in `aligned`; `work` holds the model meanwhile."""
    reading = setting.learning_curves.reading
    params = replace(setting.finetune, max_steps=reading.steps, learning_rate=reading.learning_rate)
    finetune(rows, aligned, setting.vlm, params, work / "tuned", setting.resampler)
    model, processor = load(work / "tuned")
    return answer_first(model, processor, setting.data / "tasks", setting.batch, TASK, setting.learning_curves.items)


def learning_curves_figure(results: dict[str, Any]) -> bytes:
    """PNG of each arm's mean over the seeds against the step, in a band from its lowest seed to its highest.

    `results` as `measure_learning_curves` gives them; equal results give equal bytes; readable in black and white.
    """
    steps, reached = results["steps"], results["reached"]
    with plot_style():
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for arm, values in results["arms"].items():
            dashes, marker, fill, band, hatch = STYLES[arm]
            axes.fill_between(steps, np.min(values, axis=0), np.max(values, axis=0), facecolor=band, alpha=0.6,
                              edgecolor=MID, linewidth=0.6, hatch=hatch)  # fmt: skip
            axes.plot(steps, np.mean(values, axis=0), dashes, marker=marker, color=ACCENT if arm == MIXED else INK,
                      markerfacecolor=fill, markeredgecolor=INK, linewidth=1.6, markersize=6, label=arm)  # fmt: skip
        axes.axhline(reached["baseline"], color=INK, linewidth=1, linestyle=":", label=f"{BASELINE} at its end")
        if reached["step"] is not None:
            axes.axvline(reached["step"], color=MID, linewidth=1)
            axes.text(reached["step"], 0, f" step {reached['step']}", transform=axes.get_xaxis_transform(), va="bottom")
        axes.set_xlabel("step of the alignment")
        axes.set_ylabel(f"CIDEr-D on {results['task']} (n = {results['n']})")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        seeds = len(results["seeds"])
        title = f"line: mean of {seeds} seed{'s' * (seeds > 1)}; band: lowest to highest"
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, title=title,
                      alignment="center", handlelength=4)  # fmt: skip
        return png(figure)
