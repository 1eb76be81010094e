"""Trials: a model trained on a training set under a seed and tested; finished trials are not run again."""

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import pandas as pd

from synthpairs.core.schema import ANSWERS, digest
from synthpairs.core.storage import WorkStore, file_sha256, read_table, write_table
from synthpairs.runtime.progress import progress
from synthpairs.vlm.model import part_names
from synthpairs.vlm.params import Finetune, Resampler, Training, Vlm
from synthpairs.vlm.parts import part_identity

log = logging.getLogger(__name__)
SEEDED = ("select", "mixing", "vlm", "pretrain", "finetune")  # sections whose `seed` a trial sets


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """Sections of params.yaml that a trial depends on (experiments add theirs), and the pipeline's data folder."""

    vlm: Vlm
    pretrain: Training
    finetune: Finetune
    data: Path

    def with_seed(self, seed: int) -> Self:
        """The config with this seed in all sections of SEEDED."""
        sections = {name: replace(getattr(self, name), seed=seed) for name in SEEDED if hasattr(self, name)}
        return replace(self, **sections)

    def fingerprint(self, names: Iterable[str], resampler: Resampler | None = None) -> str:
        """Digest of all params, of the models, and of the files `names` in the pipeline's data."""
        params = {name: value for name, value in asdict(self).items() if name != "data"}
        models = [part_identity(name, key) for key, name in part_names(self.vlm, resampler).items()]
        return digest(params, models, [file_sha256(self.data / name) for name in sorted(names)])

    def instructions(self) -> pd.DataFrame:
        """Instruction data of stage `tasks`."""
        return read_table(self.data / "tasks/instructions.parquet", "dvc repro tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A training set, a seed, and the function that trains and tests."""

    set: str
    seed: int | str
    run: Callable[[Path], pd.DataFrame]  # returns rows of ANSWERS; resumes from what a killed run left in the folder
    kind: str = "all"  # of test, if trials of one set and seed differ in it


def run_trials(experiment: str, fingerprint: str, trials: Sequence[Trial]) -> pd.DataFrame:
    """Answers of all trials, rows of ANSWERS with columns `set` and `seed` in front.

    Finished trials stay in the work store, also when the page about them is worded anew: their code is the module `experiment`
    of this package and what that imports. `fingerprint` covers all else that changes an answer but set, seed and kind.
    """
    tables = []
    with (
        WorkStore(experiment, fingerprint, program=f"synthpairs.experiments.{experiment}").locked() as store,
        progress(experiment, len(trials), "trials") as advance,
    ):
        for trial in trials:
            name = f"{trial.set}-{trial.seed}-{trial.kind}"
            file, work = store.path / f"{name}.parquet", store.path / name
            command = f"dvc repro experiments/dvc.yaml:{experiment}"
            try:
                answers = read_table(file, command)
            except (FileNotFoundError, ValueError):  # damaged by a power cut
                write_table(file, trial.run(work), ANSWERS)
                shutil.rmtree(work, ignore_errors=True)
                answers = read_table(file, command)
            means = {task: round(float(rows.mean()), 3) for task, rows in answers.groupby("task")["score"]}
            log.info("%s, seed %s: %s", trial.set, trial.seed, json.dumps(means))
            tables.append(answers.assign(set=trial.set, seed=trial.seed))
            advance(1)
    return pd.concat(tables, ignore_index=True)[["set", "seed", *ANSWERS.names]]


def answer_rows(task: str, uids: Iterable[str], concepts: Iterable[str], scores: Iterable[float]) -> pd.DataFrame:
    """Rows of ANSWERS of a task that is no benchmark; `concepts` are the clusters of the bootstrap."""
    columns = {"uid": list(uids), "concept": list(concepts), "score": list(scores)}
    return pd.DataFrame(columns).assign(task=task, blind=False, category=task, prediction="")
