"""Experiment `strategies`: training sets chosen in different ways, each trained under several seeds and tested alike.

A trial pretrains the projector on a set's pairs and probes it; if it is tested on benchmarks, the model is also
fine-tuned for a few steps on the common instruction data. Tasks other than the benchmarks: ZERO_SHOT, the probe on
held-out drawings; UNSEEN, the probe on the same things in a style of no training data; GAP, the loss of accuracy from
the first to the second, by item.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from synthpairs.core.images import decode_image
from synthpairs.core.storage import Slice, read_bytes, read_table
from synthpairs.emoji.params import EmojiWorld
from synthpairs.evaluation.benchmarks.answers import answer_first
from synthpairs.experiments.params import Strategies, Study
from synthpairs.experiments.results import GAP, UNSEEN, ZERO_SHOT, compare
from synthpairs.experiments.training_sets import TrainingSet, make_pairs, plan_studies
from synthpairs.experiments.trials import Trial, TrialConfig, answer_rows, run_trials
from synthpairs.experiments.zero_shot import unseen_style, zero_shot_probe
from synthpairs.generation.diffusion.params import Images
from synthpairs.models.clip import ClipScorer
from synthpairs.scoring.params import Scores
from synthpairs.scoring.score import load_scorer
from synthpairs.selection.params import Select
from synthpairs.selection.training_pairs import with_pictures
from synthpairs.vlm.finetuning import finetune
from synthpairs.vlm.model import assemble, load
from synthpairs.vlm.params import Pretrain
from synthpairs.vlm.parts import load_projector
from synthpairs.vlm.pretraining import PROJECTOR, pretrain

PROBED = "desk_caption"  # the benchmark whose images of one thing are probed
# Facts about a set's pairs: number of concepts, mean CLIP cosine.
FACTS: dict[str, Callable[[float], float]] = {"concepts": int, "clip_cosine": float}
LEAST_SETS = 4  # of which a rank correlation is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategiesConfig(TrialConfig):
    """Sections of params.yaml that the trials depend on."""

    strategies: Strategies
    select: Select
    images: Images
    scores: Scores
    pretrain: Pretrain
    world: EmojiWorld
    batch: int  # questions per batch

    def without_sets_and_seeds(self) -> "StrategiesConfig":
        """The config that the fingerprint covers: independent of which sets and seeds are tried."""
        params = replace(self.strategies, seeds=[0, 1], sizes=[], guidance_scales=[], tuned=[], tuned_seeds=2)
        return replace(self, strategies=params, select=replace(self.select, strategy="top", num_pairs=1, seed=0))


def measure_strategies(config: StrategiesConfig) -> dict[str, Any]:
    """{seeds, steps, studies}, with the `study_results` of each study."""
    params = config.strategies
    studies = plan_studies(params, config.select.num_pairs)
    tuned = {chosen for name in params.tuned for chosen in studies[name]} if params.tasks else set()
    scores = config.scores
    scorer = load_scorer(scores)
    items = read_table(config.data / f"tasks/{PROBED}.parquet", "dvc repro tasks")
    items = items[items["category"] == "single"].reset_index(drop=True)
    drawings = read_table(config.data / "emoji/drawings.parquet", "dvc repro emoji")
    unseen = unseen_style(items, drawings, config.world.concepts)

    trials = []
    for seed in params.seeds:
        for chosen in dict.fromkeys(chosen for sets in studies.values() for chosen in sets):
            tasks = params.tasks if chosen in tuned and seed in params.seeds[: params.tuned_seeds] else []
            run = partial(_trial, chosen, config.with_seed(seed), tasks, scorer, items, unseen)
            trials.append(Trial(set=str(chosen), seed=seed, kind="tuned" if tasks else "probed", run=run))
    names = ["emoji", "captions", "images", "scores", "tasks/instructions.parquet"]
    names += [f"tasks/{task}.{ending}" for task in {*params.tasks, PROBED} for ending in ("parquet", "yaml")]
    answers = run_trials("strategies", config.without_sets_and_seeds().fingerprint(names), trials)
    results = {name: study_results(sets, study_tasks(name, params), answers) for name, sets in studies.items()}
    return {"seeds": params.seeds, "steps": params.steps, "studies": results}


def study_tasks(study: Study, params: Strategies) -> list[str]:
    """Tasks on which the sets of a study are compared."""
    return [ZERO_SHOT, *([UNSEEN, GAP] if study == "style" else params.tasks if study in params.tuned else [])]


def study_results(sets: Sequence[TrainingSet], tasks: Sequence[str], answers: pd.DataFrame) -> dict[str, Any]:
    """Results of `compare`, and `pairs` (FACTS by set and seed) and `agreement`.

    `agreement` is Spearman's correlation over the sets of a task's value with the pairs' mean CLIP cosine; None if
    there are fewer than LEAST_SETS or one of them does not vary.
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
    if len(ranks) < LEAST_SETS or (ranks.nunique() < 2).any():
        return None
    return round(float(ranks["cosine"].corr(ranks["value"])), 2)


def _trial(
    chosen: TrainingSet,
    config: StrategiesConfig,
    tasks: Sequence[str],
    scorer: ClipScorer,
    items: pd.DataFrame,
    unseen: pd.DataFrame,
    work: Path,
) -> pd.DataFrame:
    """Answers of the model of one set and seed, with FACTS of the set."""
    data, params = config.data, config.strategies
    table, folder = make_pairs(chosen, data, config.select, config.images, params.per_concept, work)
    pairs = list(with_pictures(table, folder))
    pretrain(iter(pairs), config.vlm, config.pretrain, work / "pretrained")
    facts = {"concepts": table["concept"].nunique(), "clip_cosine": _cosine(scorer, pairs)}
    answers = [answer_rows(fact, [""], [""], [value]) for fact, value in facts.items()]

    model, processor = assemble(config.vlm)
    load_projector(
        model.model.multi_modal_projector, work / "pretrained" / PROJECTOR, "dvc repro experiments/dvc.yaml:strategies"
    )
    known, other = (zero_shot_probe(model, processor, part, config.world.concepts) for part in (items, unseen))
    gap = known.assign(prediction="", score=known["score"] - other["score"])
    answers += [known.assign(task=ZERO_SHOT), other.assign(task=UNSEEN), gap.assign(task=GAP)]
    if tasks:
        # From the projector that the pairs trained, as in LLaVA-1.5.
        tuning = replace(config.finetune, projector_init=None, max_steps=params.steps)
        finetune(config.instructions(), work / "pretrained", config.vlm, tuning, work / "tuned")
        model, processor = load(work / "tuned")
        answers += [answer_first(model, processor, data / "tasks", config.batch, task, params.items) for task in tasks]
    return pd.concat(answers, ignore_index=True).assign(blind=False)


def _cosine(scorer: ClipScorer, pairs: Sequence[tuple[str, str, Slice | bytes]]) -> float:
    """Mean CLIP cosine of the pairs, as in stage `scores`."""
    images = [decode_image(read_bytes(source)) for _, _, source in pairs]
    image_embeddings = scorer.embed_pictures([scorer.view(image) for image in images])
    text_embeddings = scorer.embed_texts([text for _, text, _ in pairs])
    return round(float((image_embeddings * text_embeddings).sum(1).mean()), 4)
