"""One trial: align on a set's pairs and ask the projector; fine-tune on the shared instruction data for a few steps and ask the
model; finished trials are kept.
"""

import json
import logging
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from synthpairs.artwork.world import World
from synthpairs.benchmarks.evaluation import answer_first
from synthpairs.progress import progress
from synthpairs.schema import ANSWERS, digest
from synthpairs.storage import WorkStore, file_sha256, read_table, write_table
from synthpairs.studies.naming import named
from synthpairs.studies.params import NAMING, Studies, TrainingSet, planned
from synthpairs.studies.sets import Pool
from synthpairs.vlm import load
from synthpairs.vlm.llava import PROJECTOR, Align, Finetune, align, finetune
from synthpairs.vlm.model import Vlm, assemble
from synthpairs.vlm.parts import load_projector

log = logging.getLogger(__name__)
NAMED = "desk_caption"  # the benchmark whose pictures of one thing are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sections that a trial depends on, and where its pairs come from."""

    studies: Studies
    pool: Pool
    vlm: Vlm
    align: Align
    finetune: Finetune
    batch: int  # questions answered together
    world: World

    def of_seed(self, seed: int) -> "Setting":
        """The same with everything drawn anew; fine-tuning starts from the projector as the pairs made it."""
        return replace(
            self,
            vlm=replace(self.vlm, seed=seed),
            align=replace(self.align, seed=seed),
            finetune=replace(self.finetune, seed=seed, start=None, max_steps=self.studies.steps),
        )

    def fingerprint(self) -> str:
        """Of all that shapes a trial but the set and the seed; the project's code is watched by DVC."""
        data = self.pool.data
        parts = [data / name for name in ("captions", "images", "scores", "tasks/instructions.parquet")]
        parts += [
            data / f"tasks/{task}.{ending}" for task in {*self.studies.tasks, NAMED} for ending in ("parquet", "yaml")
        ]
        parts += [
            Path(part) for part in (self.vlm.eye, self.vlm.llm, self.vlm.adapter, self.pool.images.generator) if part
        ]
        settings = {name: value for name, value in asdict(self).items() if name not in ("pool", "studies")}
        drawn = asdict(self.pool.select) | {"strategy": None, "k": None, "seed": None}
        asked = [self.studies.steps, self.studies.tasks, self.studies.items]
        return digest(settings, drawn, asdict(self.pool.images), asked, [file_sha256(part) for part in sorted(parts)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of all trials."""

    studies: dict[str, list[TrainingSet]]  # the sets of each, the one that the others are compared with first
    answers: pd.DataFrame  # ANSWERS with `set` and `seed` before it
    concepts: dict[str, list[int]]  # how many different ones each set holds, by seed


def measure_studies(setting: Setting) -> Measured:
    """Train and ask for every set and seed."""
    studies = planned(setting.studies, setting.pool.select.k)
    distinct = list(dict.fromkeys(chosen for sets in studies.values() for chosen in sets))
    trials = [(chosen, seed) for chosen in distinct for seed in setting.studies.seeds]
    tables, concepts = [], {str(chosen): list[int]() for chosen in distinct}
    with (
        WorkStore("studies", setting.fingerprint()).locked() as store,
        progress("studies", len(trials), "trials") as advance,
    ):
        for chosen, seed in trials:
            file, work = store.path / f"{chosen}-{seed}.parquet", store.path / "trial"
            if not file.exists():
                write_table(file, _trial(chosen, setting.of_seed(seed), seed, work), ANSWERS)
            told = store.get(f"{chosen}-{seed}.concepts")
            if told is None:
                told = str(setting.pool.table(chosen, seed, work)["concept"].nunique()).encode()
                store.put(f"{chosen}-{seed}.concepts", told)
            concepts[str(chosen)].append(int(told))
            tables.append(read_table(file, "dvc repro studies/dvc.yaml").assign(set=str(chosen), seed=seed))
            advance(1)
    answers = pd.concat(tables, ignore_index=True)[["set", "seed", *ANSWERS.names]]
    return Measured(studies=studies, answers=answers, concepts=concepts)


def _trial(chosen: TrainingSet, setting: Setting, seed: int, work: Path) -> pd.DataFrame:
    """Answers of the model that one set and seed make; `work` holds it meanwhile."""
    shutil.rmtree(work, ignore_errors=True)
    aligned, tasks = work / "aligned", setting.pool.data / "tasks"
    align(setting.pool.pairs(chosen, seed, work), setting.vlm, setting.align, aligned)
    answers = [_named(setting, aligned, tasks)]
    if setting.studies.tasks:
        rows = read_table(tasks / "instructions.parquet", "dvc repro tasks")
        finetune(rows, aligned, setting.vlm, setting.finetune, work / "tuned")
        model, processor = load(work / "tuned")
        asked, items = setting.studies.tasks, setting.studies.items
        answers += [answer_first(model, processor, tasks, setting.batch, task, items) for task in asked]
    shutil.rmtree(work)
    table = pd.concat(answers, ignore_index=True)
    means = {task: round(float(part.mean()), 3) for task, part in table.groupby("task")["score"]}
    log.info("%s, seed %d: %s", chosen, seed, json.dumps(means))
    return table


def _named(setting: Setting, aligned: Path, tasks: Path) -> pd.DataFrame:
    """What the projector that the pairs alone have made says of the benchmark's pictures of one thing."""
    model, processor = assemble(setting.vlm)
    load_projector(model.model.multi_modal_projector, aligned / PROJECTOR, "dvc repro studies/dvc.yaml")
    shown = read_table(tasks / f"{NAMED}.parquet", "dvc repro tasks")
    singles = shown[shown["category"] == "single"].reset_index(drop=True)
    return named(model, processor, singles, setting.world.concepts).assign(task=NAMING, blind=False)
