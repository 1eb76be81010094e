"""Trials of a tiny project: every set and seed is trained once, with the same tests."""

import dataclasses

import pandas as pd
import pytest

from synthpairs.core.schema import DRAWINGS
from synthpairs.core.storage import write_table
from synthpairs.emoji.params import EmojiWorld
from synthpairs.experiments import strategies
from synthpairs.experiments.params import Strategies
from synthpairs.experiments.results import GAP, UNSEEN, ZERO_SHOT
from synthpairs.experiments.strategies import FACTS, StrategiesConfig, measure_strategies, study_results, study_tasks
from synthpairs.experiments.training_sets import TrainingSet
from synthpairs.vlm.params import Pretrain
from tests.experiments.conftest import CONCEPTS, write_tasks
from tests.generation.diffusion.conftest import settings as images  # noqa: F401
from tests.scoring.conftest import photo, png
from tests.scoring.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import narrow, parts, training, tuning  # noqa: F401

PARAMS = Strategies(
    seeds=[0, 1, 2],
    sizes=[2],
    per_concept=1,
    guidance_scales=[],
    steps=2,
    tasks=["desk_vqa"],
    tuned=["selection"],
    tuned_seeds=2,
    items=4,
)
TOP, REAL, SMALL = TrainingSet("top", 3), TrainingSet("real", 3), TrainingSet("top", 2)


@pytest.fixture
def config(data, settings, images, scores, narrow, training, tuning, monkeypatch):  # noqa: F811
    """Two studies; the sets of `selection` are also tested on the benchmark."""
    studies = {"selection": [TOP, REAL], "size": [TOP, SMALL]}
    monkeypatch.setattr(strategies, "plan_studies", lambda params, k: studies)
    drawings = [
        {"drawing": f"{name}/strange", "concept": name, "name": name, "kind": "thing", "keywords": [], "style": "strange",
         "licence": "CC0-1.0", "split": "heldout_style", "png": png(photo(24, number).convert("RGBA"))}
        for number, name in enumerate(CONCEPTS)
    ]  # fmt: skip
    write_table(data / "emoji/drawings.parquet", drawings, DRAWINGS)
    write_tasks(data / "tasks", ["desk_caption", "desk_vqa"])
    return StrategiesConfig(
        strategies=PARAMS,
        data=data,
        select=settings(),
        images=images(candidates=1),
        scores=scores(),
        vlm=narrow,
        pretrain=Pretrain(**training | {"max_steps": 0}, projector_init=None),
        finetune=tuning(projector_learning_rate=0.01),
        batch=4,
        world=EmojiWorld(concepts=CONCEPTS),
    )


def test_every_set_and_seed_has_the_same_items_once(config, monkeypatch):
    tables = []
    monkeypatch.setattr(strategies, "study_results", lambda *inputs: tables.append(inputs[2]) or study_results(*inputs))
    results = measure_strategies(config)
    assert (results["seeds"], results["steps"], set(results["studies"])) == ([0, 1, 2], 2, {"selection", "size"})
    for study in results["studies"].values():
        for facts in study["pairs"].values():
            assert len(facts) == 3
            assert all(1 <= fact["concepts"] <= 3 and -1 <= fact["clip_cosine"] <= 1 for fact in facts)
    vqa = results["studies"]["selection"]["tasks"]["desk_vqa"]
    assert (vqa["n"], len(vqa["sets"]["real-3"]["seeds"])) == (4, 2)
    zero_shot = results["studies"]["size"]["tasks"][ZERO_SHOT]
    assert (zero_shot["n"], len(zero_shot["sets"]["top-2"]["seeds"])) == (6, 3)

    answers = tables[0]
    always = {*FACTS, ZERO_SHOT, UNSEEN, GAP}
    for (name, seed), tasks in answers.groupby(["set", "seed"])["task"]:
        assert set(tasks) == always | ({"desk_vqa"} if name != "top-2" and seed < 2 else set()), (name, seed)
    table = answers.pivot(index=["set", "seed", "uid"], columns="task", values="score").dropna(subset=[GAP])
    assert (table[GAP] == table[ZERO_SHOT] - table[UNSEEN]).all()

    monkeypatch.setattr(strategies, "_trial", lambda *_: pytest.fail("trained again"))
    assert measure_strategies(config) == results


def test_without_benchmarks_nothing_is_tuned(config, monkeypatch):
    monkeypatch.setattr(strategies, "finetune", None)
    results = measure_strategies(dataclasses.replace(config, strategies=dataclasses.replace(PARAMS, tasks=[])))
    assert [list(study["tasks"]) for study in results["studies"].values()] == [[ZERO_SHOT]] * 2


def test_the_fingerprint_covers_params_and_inputs_but_not_sets_and_seeds(config):
    def fingerprint(**changed):
        other = dataclasses.replace(config, strategies=dataclasses.replace(PARAMS, **changed))
        return other.without_sets_and_seeds().fingerprint(["scores"])

    first = fingerprint()
    assert fingerprint(seeds=[7, 8, 9], sizes=[1], tuned=[]) == first
    assert first not in (fingerprint(steps=3), fingerprint(tasks=[]))
    file = config.data / "scores/scores.parquet"
    file.write_bytes(file.read_bytes() + b"x")
    assert fingerprint() != first


def test_benchmarks_are_tasks_of_the_studies_in_params():
    assert study_tasks("selection", PARAMS) == [ZERO_SHOT, "desk_vqa"]
    assert study_tasks("ablation", PARAMS) == study_tasks("size", PARAMS) == [ZERO_SHOT]
    assert study_tasks("style", PARAMS) == [ZERO_SHOT, UNSEEN, GAP]


def test_agreement_is_a_rank_correlation_over_the_sets():
    sets = [TrainingSet("guidance", 8, scale) for scale in (1.0, 2.0, 5.0, 8.0)]

    def agreement(cosines):
        rows = []
        for chosen, right, cosine in zip(sets, (10, 20, 40, 30), cosines, strict=True):
            cells = [("concepts", "", "", 3.0), ("clip_cosine", "", "", cosine)]
            cells += [(ZERO_SHOT, str(n), str(n // 2), float(n < right)) for n in range(50)]
            rows += [
                {"set": str(chosen), "seed": seed, "task": task, "uid": uid, "concept": concept, "score": score}
                for seed in (0, 1)
                for task, uid, concept, score in cells
            ]
        return study_results(sets, [ZERO_SHOT], pd.DataFrame(rows))["agreement"]

    assert agreement([0.0, 0.1, 0.2, 0.3]) == {ZERO_SHOT: 0.8}  # 1 - 6 x (0 + 0 + 1 + 1) / (4 x 15)
    assert agreement([0.3] * 4) == {ZERO_SHOT: None}
