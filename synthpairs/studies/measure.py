"""One trial: align on a set's pairs and ask the projector; fine-tune on the shared instruction data for a few steps and ask the
model; finished trials are kept.
"""

import io
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
from PIL import Image

from synthpairs.artwork.world import World
from synthpairs.benchmarks.evaluation import answer_first
from synthpairs.images.params import Images
from synthpairs.progress import progress
from synthpairs.schema import ANSWERS, digest
from synthpairs.scores.clip import ClipScorer
from synthpairs.scores.params import Scores
from synthpairs.selection.params import Select
from synthpairs.storage import Slice, WorkStore, file_sha256, read_bytes, read_table, write_table
from synthpairs.studies.naming import named
from synthpairs.studies.params import GAP, NAMING, UNSEEN, Studies, Study, TrainingSet, planned
from synthpairs.studies.results import Facts
from synthpairs.studies.sets import Pool
from synthpairs.studies.styles import unseen_style
from synthpairs.vlm import load
from synthpairs.vlm.llava import PROJECTOR, Align, Finetune, align, finetune
from synthpairs.vlm.model import Vlm, assemble
from synthpairs.vlm.parts import load_projector

log = logging.getLogger(__name__)
NAMED = "desk_caption"  # the benchmark whose pictures of one thing are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The sections that a trial depends on, and where the pipeline's data lies."""

    studies: Studies
    data: Path  # the pipeline's
    select: Select
    images: Images
    scores: Scores
    vlm: Vlm
    align: Align
    finetune: Finetune
    batch: int  # questions answered together
    world: World

    @property
    def pool(self) -> Pool:
        """What the sets are drawn from."""
        return Pool(data=self.data, select=self.select, images=self.images, per_concept=self.studies.per_concept)

    def of_seed(self, seed: int) -> "Setting":
        """The same with everything drawn anew; fine-tuning starts from the projector as the pairs made it."""
        return replace(
            self,
            vlm=replace(self.vlm, seed=seed),
            align=replace(self.align, seed=seed),
            finetune=replace(self.finetune, seed=seed, start=None, max_steps=self.studies.steps),
        )

    def fingerprint(self) -> str:
        """Of all data and params that shape a trial but the set and the seed."""
        parts = [self.data / name for name in ("art", "captions", "images", "scores", "tasks/instructions.parquet")]
        parts += [
            self.data / f"tasks/{task}.{ending}"
            for task in {*self.studies.tasks, NAMED}
            for ending in ("parquet", "yaml")
        ]
        parts += [Path(part) for part in (self.vlm.eye, self.vlm.llm, self.vlm.adapter, self.images.generator) if part]
        settings = {name: value for name, value in asdict(self).items() if name not in ("studies", "data", "select")}
        drawn = asdict(self.select) | {"strategy": None, "k": None, "seed": None}
        asked = [self.studies.steps, self.studies.tasks, self.studies.items, self.studies.per_concept]
        return digest(settings, drawn, asked, [file_sha256(part) for part in sorted(parts)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardsticks:
    """What every trial is held against, made once a run."""

    scorer: ClipScorer
    seen: pd.DataFrame  # rows of BENCHMARK that show one thing
    unseen: pd.DataFrame  # the same things in a style that no training has seen

    @classmethod
    def of(cls, setting: Setting) -> "Yardsticks":
        """The scorer of stage `scores`, and the benchmark's pictures."""
        scores = setting.scores
        scorer = ClipScorer("scores", scores.clip, scores.pretrained, prefix=scores.prefix, precision=scores.precision,
                            batch=scores.batch)  # fmt: skip
        shown = read_table(setting.data / f"tasks/{NAMED}.parquet", "dvc repro tasks")
        singles = shown[shown["category"] == "single"].reset_index(drop=True)
        drawings = read_table(setting.data / "art/drawings.parquet", "dvc repro art")
        return cls(scorer=scorer, seen=singles, unseen=unseen_style(singles, drawings, setting.world.concepts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What came of all trials."""

    studies: dict[str, Study]
    answers: pd.DataFrame  # ANSWERS with `set` and `seed` before it
    facts: dict[str, list[Facts]]  # of each set, by seed


def measure_studies(setting: Setting) -> Measured:
    """Train and ask for every set and seed."""
    told = setting.studies
    studies = planned(told, setting.select.k)
    distinct = list(dict.fromkeys(chosen for study in studies.values() for chosen in study.sets))
    tuned = {chosen for name in told.tuned for chosen in studies[name].sets} if told.tasks else set()
    trials = [(chosen, seed) for seed in told.seeds for chosen in distinct]
    yardsticks = Yardsticks.of(setting)
    tables, facts = [], {str(chosen): list[Facts]() for chosen in distinct}
    with (
        WorkStore("studies", setting.fingerprint()).locked() as store,
        progress("studies", len(trials), "trials") as advance,
    ):
        for chosen, seed in trials:
            asked = told.tasks if chosen in tuned and seed in told.seeds[: told.tuned_seeds] else []
            name = f"{chosen}-{seed}-{'tuned' if asked else 'named'}"
            file = store.path / f"{name}.parquet"
            if not file.exists():
                answers, holds = _trial(chosen, setting.of_seed(seed), yardsticks, seed, asked, store.path / "trial")
                store.put(f"{name}.json", json.dumps(holds).encode())
                write_table(file, answers, ANSWERS)
            facts[str(chosen)].append(json.loads(store.get(f"{name}.json") or b""))
            tables.append(read_table(file, "dvc repro studies/dvc.yaml").assign(set=str(chosen), seed=seed))
            advance(1)
    answers = pd.concat(tables, ignore_index=True)[["set", "seed", *ANSWERS.names]]
    return Measured(studies=studies, answers=answers, facts=facts)


def _trial(
    chosen: TrainingSet, setting: Setting, yardsticks: Yardsticks, seed: int, asked: Sequence[str], work: Path
) -> tuple[pd.DataFrame, Facts]:
    """Answers of the model that one set and seed make, and what the set holds; `work` is used meanwhile."""
    shutil.rmtree(work, ignore_errors=True)
    aligned, tasks = work / "aligned", setting.data / "tasks"
    table = setting.pool.table(chosen, seed, work)
    pairs = list(setting.pool.pairs(chosen, table, work))
    holds = Facts(concepts=int(table["concept"].nunique()), clip_cosine=_cosine(yardsticks.scorer, pairs))
    align(iter(pairs), setting.vlm, setting.align, aligned)
    answers = [_named(setting, yardsticks, aligned)]
    if asked:
        rows = read_table(tasks / "instructions.parquet", "dvc repro tasks")
        finetune(rows, aligned, setting.vlm, setting.finetune, work / "tuned")
        model, processor = load(work / "tuned")
        items = setting.studies.items
        answers += [answer_first(model, processor, tasks, setting.batch, task, items) for task in asked]
    shutil.rmtree(work)
    said = pd.concat(answers, ignore_index=True)
    means = {task: round(float(part.mean()), 3) for task, part in said.groupby("task")["score"]}
    log.info("%s, seed %d: %s", chosen, seed, json.dumps(means | holds))
    return said, holds


def _cosine(scorer: ClipScorer, pairs: Sequence[tuple[str, str, Slice | bytes]]) -> float:
    """Mean CLIP cosine of the pairs, as stage `scores` takes it."""
    pictures = [Image.open(io.BytesIO(read_bytes(source))).convert("RGB") for _, _, source in pairs]
    seen = scorer.embed_pictures([scorer.view(picture) for picture in pictures])
    said = scorer.embed_texts([text for _, text, _ in pairs])
    return round(float((seen * said).sum(1).mean()), 4)


def _named(setting: Setting, yardsticks: Yardsticks, aligned: Path) -> pd.DataFrame:
    """What the projector that the pairs alone have made says of the benchmark's pictures of one thing, and of the same things
    in a style that no training has seen.
    """
    model, processor = assemble(setting.vlm)
    load_projector(model.model.multi_modal_projector, aligned / PROJECTOR, "dvc repro studies/dvc.yaml")
    concepts = setting.world.concepts
    seen = named(model, processor, yardsticks.seen, concepts)
    unseen = named(model, processor, yardsticks.unseen, concepts)
    lost = seen.assign(prediction="", score=seen["score"] - unseen["score"])
    tables = [seen.assign(task=NAMING), unseen.assign(task=UNSEEN), lost.assign(task=GAP)]
    return pd.concat(tables, ignore_index=True).assign(blind=False)
