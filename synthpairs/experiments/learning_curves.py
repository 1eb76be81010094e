"""Experiment `learning_curves`: captioning against the step of resampler pretraining, for arms of the Synth2 route.

Synth2's figure 5 shows its benchmark against the step of training. Here that is the pretraining of the resampler, in
which the arms differ. A language model that was not trained on the resampler's output at best repeats a word (CIDEr-D
0.01, below blind), so at every point it is first fine-tuned for the same few steps on the caption questions of the
instruction data, or on what `finetune_tokens.instructions` names. Control sets are compared at the last step alone.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from synthpairs.core.plots import ACCENT, ACCENT_PALE, INK, MID, PALE, plot_style, png
from synthpairs.emoji.tasks.questions import WORDINGS
from synthpairs.evaluation.benchmarks.answers import answer_first
from synthpairs.evaluation.benchmarks.external_benchmarks import run_lm_eval
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks
from synthpairs.experiments.params import LearningCurves
from synthpairs.experiments.results import CAPTIONING_TASKS, CIDER, FEW, REGENERATED, compare
from synthpairs.experiments.token_controls import control_data
from synthpairs.experiments.trials import Trial, TrialConfig, run_trials
from synthpairs.generation.masked.params import GenerateTokens
from synthpairs.selection.mixing import Mixing, token_training_set
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import load
from synthpairs.vlm.params import Resampler
from synthpairs.vlm.pretraining import save_projector
from synthpairs.vlm.resampler_pretraining import pretrain_tokens
from synthpairs.vlm.vq_tower import PerceiverResampler

BASELINE, MIXED = "real-tokens", "genpair"  # arms
TASK = "desk_caption"
DECIMALS = 6
# Line, marker, its fill, colour of the band and its hatching; distinct without colour too.
STYLES = {BASELINE: ("--", "o", "white", PALE, "...."), MIXED: ("-", "s", ACCENT, ACCENT_PALE, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurvesConfig(TrialConfig):
    """Sections of params.yaml that the trials depend on; `pretrain` and `finetune` are those of the Synth2 route."""

    learning_curves: LearningCurves
    generate_tokens: GenerateTokens
    mixing: Mixing
    resampler: Resampler
    benchmark: Benchmark
    external_benchmarks: ExternalBenchmarks

    @property
    def task(self) -> str:
        """The first captioning task of `external_benchmarks.tokens`; without one, our own."""
        return next((task for task in self.external_benchmarks.tokens if task in CAPTIONING_TASKS), TASK)

    @property
    def steps(self) -> list[int]:
        """Steps of the pretraining after which captions are scored."""
        return self.learning_curves.steps(self.pretrain.steps(self.mixing.draws))


def measure_learning_curves(config: LearningCurvesConfig) -> dict[str, Any]:
    """{measure, task, n, seeds, steps, arms, reached, final, controls}: values by arm [seed][step], and their `first_reached`.

    `final` are the results of `compare` for the arms at the last step; `controls` for control sets and arms, null without any.
    """
    rows = caption_questions(config.instructions())
    seeds, steps = config.learning_curves.seeds, config.steps
    controls = config.learning_curves.controls
    trials = [
        Trial(set=name, seed=seed, run=partial(_trial, name, config.with_seed(seed), rows))
        for seed in seeds
        for name in (BASELINE, MIXED, *controls)
    ]
    names = (
        "real_pairs",
        "generated_tokens",
        "tasks/instructions.parquet",
        f"tasks/{TASK}.parquet",
        f"tasks/{TASK}.yaml",
    )
    same = replace(
        config,  # with what changes no answer left out
        learning_curves=replace(config.learning_curves, seeds=[0], controls=[]),
        benchmark=replace(config.benchmark, resamples=0, seed=0),
        external_benchmarks=replace(
            config.external_benchmarks, pictures=[], tokens=[config.task], text=[], shots=0, limit=None
        ),
    )
    answers = run_trials("learning_curves", same.fingerprint(names, config.resampler), trials)
    scores = answers.groupby(["set", "seed", "task"])["score"]
    means = {key: round(float(part.mean()), DECIMALS) for key, part in scores}
    arms = {arm: [[means[arm, seed, str(step)] for step in steps] for seed in seeds] for arm in (BASELINE, MIXED)}
    last = answers[answers["task"] == str(steps[-1])].assign(task=config.task)
    return {
        "measure": CIDER[0],
        "task": config.task,
        "n": int(scores.size().iloc[0]),
        "seeds": seeds,
        "steps": steps,
        "arms": arms,
        "reached": first_reached(steps, arms[BASELINE], arms[MIXED]),
        "final": compare([BASELINE, MIXED], [config.task], last),
        "controls": compare([*controls, BASELINE, MIXED], [config.task], last) if controls else None,
    }


def caption_questions(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of INSTRUCTIONS with an image, reduced to the turns that ask for a caption."""
    rows = rows[rows["picture"].notna()]
    turns = [[turn for turn in row if turn["question"] in WORDINGS["caption"]] for row in rows["turns"]]
    return rows.assign(turns=turns)[[bool(row) for row in turns]]


def first_reached(
    steps: Sequence[int], baseline: Sequence[Sequence[float]], others: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """First step at which the others' mean over seeds reaches the baseline's last mean, or None, and that last mean."""
    goal = float(np.mean(baseline, axis=0)[-1])
    reached = [step for step, value in zip(steps, np.mean(others, axis=0), strict=True) if value >= goal]
    return {"step": reached[0] if reached else None, "baseline": round(goal, DECIMALS)}


def _trial(name: str, config: LearningCurvesConfig, rows: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Answers after each step, which is their `task`; a killed trial resumes from the finished pretraining."""
    arm, data = name, config.data
    if name in config.learning_curves.controls:
        config = replace(config, learning_curves=replace(config.learning_curves, points=[1.0]))
    if not (work / "pretrained").exists():

        def save(step: int, projector: PerceiverResampler) -> None:
            if step in config.steps:
                (work / str(step)).mkdir(parents=True, exist_ok=True)
                save_projector(projector, work / str(step))

        if name in (FEW, REGENERATED):
            arm, data = BASELINE, control_data(name, data, config.generate_tokens, config.mixing.seed, work)
        pairs, _ = token_training_set(arm, config.mixing, data, config.resampler.tokenizer)
        pretrain_tokens(pairs, config.vlm, config.resampler, config.pretrain, work / "pretrained", save)
    if missing := [step for step in config.steps[:-1] if not (work / str(step)).exists()]:
        raise ValueError(
            f"{name}: pairs are skipped, so pretraining ends before step {missing[0]} of {config.steps[-1]}: mend these "
            "captions, or increase pretrain_tokens.max_length in params.yaml"
        )
    # Of ten million pairs some are skipped, and pretraining ends some steps earlier: its end is the last point all the same.
    shutil.copytree(work / "pretrained", work / str(config.steps[-1]), dirs_exist_ok=True)
    tables = [caption_answers(work / str(step), config, rows, work).assign(task=str(step)) for step in config.steps]
    return pd.concat(tables, ignore_index=True)


def caption_answers(pretrained: Path, config: LearningCurvesConfig, rows: pd.DataFrame, work: Path) -> pd.DataFrame:
    """Captions as ANSWERS, after fine-tuning on `rows` in `work` with the resampler in `pretrained`."""
    reading = config.learning_curves.reading
    params = replace(config.finetune, max_steps=reading.steps, learning_rate=reading.learning_rate)
    finetune(rows, pretrained, config.vlm, params, work / "tuned", config.resampler)
    model, processor = load(work / "tuned")
    items = config.learning_curves.items
    if config.task == TASK:
        return answer_first(model, processor, config.data / "tasks", config.benchmark.batch_size, TASK, items)
    external = replace(config.external_benchmarks, tokens=[config.task], text=[], limit=items)
    return pd.DataFrame(run_lm_eval(model, processor, external, config.benchmark).rows)


def learning_curves_figure(results: dict[str, Any]) -> bytes:
    """PNG of each arm's mean over seeds against the step, with a band from lowest to highest seed; deterministic."""
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
        axes.set_xlabel("pretraining step")
        axes.set_ylabel(f"CIDEr-D on {results['task']} (n = {results['n']})")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        seeds = len(results["seeds"])
        title = f"line: mean of {seeds} seed{'s' * (seeds > 1)}; band: lowest to highest"
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3, title=title,
                      alignment="center", handlelength=4)  # fmt: skip
        return png(figure)
