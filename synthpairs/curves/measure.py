"""From pairs to reports/curves.json: align an arm once per seed, keep the resampler on the way, and let each stage caption.

Synth2's figure 5 shows its benchmark against the step of training. Here training is the alignment of the resampler, in which
the arms differ. A language model that has not met these tokens repeats a word at best (CIDEr-D 0.01, below blind), so before it
captions it reads for a few steps: the caption questions of the instruction data, the same for every point.
"""

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.benchmarks.evaluation import answer_first
from synthpairs.benchmarks.questions import WORDINGS
from synthpairs.curves.params import BASELINE, MIXED, Curves
from synthpairs.embeddings.mixing import Mixing, mixed
from synthpairs.naming import align_codes
from synthpairs.progress import progress
from synthpairs.schema import digest
from synthpairs.storage import WorkStore, file_sha256, read_table
from synthpairs.vlm import load
from synthpairs.vlm.codes import WordResampler
from synthpairs.vlm.llava import Finetune, finetune, save_projector
from synthpairs.vlm.model import Resampler, Vlm, part_names
from synthpairs.vlm.parts import part_identity
from synthpairs.vlm.training import Training

log = logging.getLogger(__name__)
TASK, MEASURE = "desk_caption", "cider_d"
PLACES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sections that a run depends on, and its data."""

    curves: Curves
    mixing: Mixing
    align: Training
    finetune: Finetune
    vlm: Vlm
    resampler: Resampler
    batch: int  # questions answered together
    data: Path

    def of_seed(self, seed: int) -> "Setting":
        """The same with everything that is drawn at random drawn anew; the language model reads as `curves.reading` says."""
        reading = self.curves.reading
        return replace(
            self,
            mixing=replace(self.mixing, seed=seed),
            align=replace(self.align, seed=seed),
            finetune=replace(self.finetune, seed=seed, max_steps=reading.steps, learning_rate=reading.learning_rate),
            vlm=replace(self.vlm, seed=seed),
        )

    @property
    def steps(self) -> list[int]:
        """The steps of the alignment after which captions are asked for."""
        return self.curves.steps(self.align.steps(self.mixing.draws))

    def fingerprint(self) -> str:
        """Of all data and params that shape a value."""
        tasks = [self.data / "tasks" / name for name in ("instructions.parquet", f"{TASK}.parquet", f"{TASK}.yaml")]
        models = [part_identity(name, key) for key, name in part_names(self.vlm, self.resampler).items()]
        data = [self.data / "pairs", self.data / "embedded", *tasks]
        settings = {name: value for name, value in asdict(self).items() if name != "data"}
        return digest(settings, [*map(file_sha256, data), *models])


def measure_curves(setting: Setting) -> dict[str, Any]:
    """Every arm's values, and when the mixed one reaches what the baseline ends with; each finished (arm, seed) is kept.

    FileNotFoundError names the command that makes what is missing.
    """
    read_table(setting.data / "pairs/pairs.parquet", "dvc repro pairs")
    read_table(setting.data / "embedded/manifest.parquet", "dvc repro embed")
    rows = caption_questions(read_table(setting.data / "tasks/instructions.parquet", "dvc repro tasks"))
    items = min(setting.curves.items, len(read_table(setting.data / f"tasks/{TASK}.parquet", "dvc repro tasks")))
    arms: dict[str, list[list[float]]] = {BASELINE: [], MIXED: []}
    runs = [(seed, arm) for seed in setting.curves.seeds for arm in arms]
    with (
        WorkStore("curves", setting.fingerprint()).locked() as store,
        progress("curves", len(runs), "runs") as advance,
    ):
        for seed, arm in runs:
            found = store.get(f"{arm}-{seed}.json")
            arms[arm].append(json.loads(found) if found else measure_run(arm, seed, setting, rows, store))
            advance(1)
        store.discard()
    return {
        "measure": MEASURE,
        "task": TASK,
        "n": items,
        "seeds": setting.curves.seeds,
        "steps": setting.steps,
        "arms": arms,
        "reached": reached(setting.steps, arms[BASELINE], arms[MIXED]),
    }


def caption_questions(rows: pd.DataFrame) -> pd.DataFrame:
    """Of INSTRUCTIONS about pictures what asks for a caption, with its answer."""
    seen = rows[rows["picture"].notna()]
    turns = [[turn for turn in said if turn["question"] in WORDINGS["caption"]] for said in seen["turns"]]
    return seen.assign(turns=turns)[[bool(asked) for asked in turns]]


def measure_run(arm: str, seed: int, setting: Setting, rows: pd.DataFrame, store: WorkStore) -> list[float]:
    """One arm's values with one seed, by step; its finished alignment is kept while they are measured."""
    ours, work = setting.of_seed(seed), store.path / f"{arm}-{seed}"
    if not (work / "aligned").exists():

        def keep(step: int, projector: WordResampler) -> None:
            if step in ours.steps:
                (work / str(step)).mkdir(parents=True, exist_ok=True)
                save_projector(projector, work / str(step))

        pairs, _ = mixed(arm, ours.mixing, ours.data, ours.resampler.tokenizer)
        metrics = align_codes(pairs, ours.vlm, ours.resampler, ours.align, work / "aligned", keep)
        if metrics["steps"] != ours.steps[-1]:
            raise ValueError(
                f"{arm}: pairs are left out ({metrics['skipped']}), so the alignment ends at step {metrics['steps']}, not "
                f"{ours.steps[-1]}: raise align_codes.max_tokens in params.yaml"
            )
    values = []
    for step in ours.steps:
        values.append(caption_score(work / str(step), ours, rows, work / "finetuned"))
        log.info("%s, seed %d, step %d: %.3f", arm, seed, step, values[-1])
    store.put(f"{arm}-{seed}.json", json.dumps(values).encode())
    shutil.rmtree(work)
    return values


def caption_score(aligned: Path, setting: Setting, rows: pd.DataFrame, tuned: Path) -> float:
    """CIDEr-D of the captions after reading through the resampler in `aligned`; `tuned` holds the model meanwhile."""
    finetune(rows, aligned, setting.vlm, setting.finetune, tuned, setting.resampler)
    model, processor = load(tuned)
    tasks, items = setting.data / "tasks", setting.curves.items
    answers = answer_first(model, processor, tasks, setting.batch, TASK, items)
    return round(float(answers["score"].mean()), PLACES)


def reached(
    steps: Sequence[int], baseline: Sequence[Sequence[float]], others: Sequence[Sequence[float]]
) -> dict[str, Any]:
    """The first step at which the others' mean over seeds is the baseline's last mean, None if at none; and that mean."""
    goal = float(np.mean(baseline, axis=0)[-1])
    there = [step for step, value in zip(steps, np.mean(others, axis=0), strict=True) if value >= goal]
    return {"step": there[0] if there else None, "baseline": round(goal, PLACES)}
