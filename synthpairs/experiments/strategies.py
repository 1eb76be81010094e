"""Experiment `strategies`: ways to come by a training set, each trained for several seeds and asked the same questions.

A trial aligns on a set's pairs and probes the projector; where benchmarks are asked, too, the model is fine-tuned for a few
steps on the instruction data that all sets share. Tasks beside the benchmarks: ZERO_SHOT, the probe on held-out drawings;
UNSEEN, on the same things in a style that no training has seen; GAP, what is lost from the first to the second, item by item.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from synthpairs.core.storage import Slice, read_bytes, read_table
from synthpairs.emoji.world import World
from synthpairs.evaluation.benchmarks.evaluation import answer_first
from synthpairs.experiments.params import Question, Strategies
from synthpairs.experiments.results import GAP, UNSEEN, ZERO_SHOT, compare
from synthpairs.experiments.training_sets import TrainingSet, make_pairs, plan_studies
from synthpairs.experiments.trials import Setting, Trial, answer_rows, run_trials
from synthpairs.experiments.zero_shot import unseen_style, zero_shot_probe
from synthpairs.generation.diffusion.params import Images
from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.params import Scores
from synthpairs.selection.pairs import with_pictures
from synthpairs.selection.params import Select
from synthpairs.vlm.llava import PROJECTOR, align, finetune
from synthpairs.vlm.model import assemble, load
from synthpairs.vlm.params import Align
from synthpairs.vlm.parts import load_projector

PROBED = "desk_caption"  # the benchmark whose pictures of one thing are probed
FACTS: dict[str, Callable[[float], float]] = {
    "concepts": int,
    "clip_cosine": float,
}  # of a set's pairs: different concepts, mean CLIP cosine
RANKED = 4  # sets, from which on two orders of them can be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategiesSetting(Setting):
    """The sections that the trials depend on."""

    strategies: Strategies
    select: Select
    images: Images
    scores: Scores
    align: Align
    world: World
    batch: int  # questions answered together

    def shape(self) -> "StrategiesSetting":
        """The same whatever sets and seeds are to be tried."""
        params = replace(self.strategies, seeds=[0, 1], sizes=[], guidances=[], tuned=[], tuned_seeds=2)
        return replace(self, strategies=params, select=replace(self.select, strategy="top", k=1, seed=0))


def measure_strategies(setting: StrategiesSetting) -> dict[str, Any]:
    """{seeds, steps, studies}: of each study what `study_results` gives."""
    params = setting.strategies
    studies = plan_studies(params, setting.select.k)
    tuned = {chosen for name in params.tuned for chosen in studies[name]} if params.tasks else set()
    scores = setting.scores
    scorer = ClipScorer("scores", scores.clip, scores.pretrained, prefix=scores.prefix, precision=scores.precision,
                        batch=scores.batch)  # fmt: skip
    items = read_table(setting.data / f"tasks/{PROBED}.parquet", "dvc repro tasks")
    items = items[items["category"] == "single"].reset_index(drop=True)
    drawings = read_table(setting.data / "art/drawings.parquet", "dvc repro art")
    unseen = unseen_style(items, drawings, setting.world.concepts)

    trials = []
    for seed in params.seeds:
        for chosen in dict.fromkeys(chosen for sets in studies.values() for chosen in sets):
            tasks = params.tasks if chosen in tuned and seed in params.seeds[: params.tuned_seeds] else []
            run = partial(_trial, chosen, setting.of_seed(seed), tasks, scorer, items, unseen)
            trials.append(Trial(set=str(chosen), seed=seed, kind="tuned" if tasks else "probed", run=run))
    names = ["art", "captions", "images", "scores", "tasks/instructions.parquet"]
    names += [f"tasks/{task}.{ending}" for task in {*params.tasks, PROBED} for ending in ("parquet", "yaml")]
    answers = run_trials("strategies", setting.shape().fingerprint(names), trials)
    results = {name: study_results(sets, tasks_of(name, params), answers) for name, sets in studies.items()}
    return {"seeds": params.seeds, "steps": params.steps, "studies": results}


def tasks_of(study: Question, params: Strategies) -> list[str]:
    """What the sets of a study are compared on."""
    return [ZERO_SHOT, *([UNSEEN, GAP] if study == "style" else params.tasks if study in params.tuned else [])]


def study_results(sets: Sequence[TrainingSet], tasks: Sequence[str], answers: pd.DataFrame) -> dict[str, Any]:
    """What `compare` gives, `pairs` and `agreement`.

    `pairs`: FACTS by set and seed. `agreement`: Spearman's correlation, over the sets, of a task's value with the mean CLIP
    cosine of the pairs; null where there are too few sets or nothing varies.
    """
    names = [str(chosen) for chosen in sets]
    results = compare(names, tasks, answers)
    facts = answers[answers["task"].isin(FACTS)].pivot(index=["set", "seed"], columns="task", values="score")
    pairs = {
        name: [{fact: kind(row[fact]) for fact, kind in FACTS.items()} for row in facts.loc[name].to_dict("records")]
        for name in names
    }
    cosines = {name: float(np.mean([seed["clip_cosine"] for seed in rows])) for name, rows in pairs.items()}
    agreement = {task: _agreement(cosines, numbers["sets"]) for task, numbers in results["tasks"].items()}
    return results | {"pairs": pairs, "agreement": agreement}


def _agreement(cosines: Mapping[str, float], values: Mapping[str, dict[str, Any]]) -> float | None:
    ranks = pd.DataFrame({"cosine": cosines, "value": {name: row["value"] for name, row in values.items()}}).rank()
    if len(ranks) < RANKED or (ranks.nunique() < 2).any():
        return None
    return round(float(ranks["cosine"].corr(ranks["value"])), 2)


def _trial(
    chosen: TrainingSet,
    setting: StrategiesSetting,
    tasks: Sequence[str],
    scorer: ClipScorer,
    items: pd.DataFrame,
    unseen: pd.DataFrame,
    work: Path,
) -> pd.DataFrame:
    """Answers of the model that one set and seed make, FACTS of the set among them."""
    data, params = setting.data, setting.strategies
    table, folder = make_pairs(chosen, data, setting.select, setting.images, params.per_concept, work)
    pairs = list(with_pictures(table, folder))
    align(iter(pairs), setting.vlm, setting.align, work / "aligned")
    facts = {"concepts": table["concept"].nunique(), "clip_cosine": _cosine(scorer, pairs)}
    answers = [answer_rows(fact, [""], [""], [value]) for fact, value in facts.items()]

    model, processor = assemble(setting.vlm)
    load_projector(
        model.model.multi_modal_projector, work / "aligned" / PROJECTOR, "dvc repro experiments/dvc.yaml:strategies"
    )
    known, other = (zero_shot_probe(model, processor, part, setting.world.concepts) for part in (items, unseen))
    gap = known.assign(prediction="", score=known["score"] - other["score"])
    answers += [known.assign(task=ZERO_SHOT), other.assign(task=UNSEEN), gap.assign(task=GAP)]
    if tasks:
        # From the projector as the pairs made it, as LLaVA-1.5 does.
        tuning = replace(setting.finetune, start=None, max_steps=params.steps)
        finetune(setting.instructions(), work / "aligned", setting.vlm, tuning, work / "tuned")
        model, processor = load(work / "tuned")
        answers += [answer_first(model, processor, data / "tasks", setting.batch, task, params.items) for task in tasks]
    return pd.concat(answers, ignore_index=True).assign(blind=False)


def _cosine(scorer: ClipScorer, pairs: Sequence[tuple[str, str, Slice | bytes]]) -> float:
    """Mean CLIP cosine of the pairs, as stage `scores` takes it."""
    pictures = [Image.open(io.BytesIO(read_bytes(source))).convert("RGB") for _, _, source in pairs]
    image_embeddings = scorer.embed_pictures([scorer.view(picture) for picture in pictures])
    text_embeddings = scorer.embed_texts([text for _, text, _ in pairs])
    return round(float((image_embeddings * text_embeddings).sum(1).mean()), 4)
