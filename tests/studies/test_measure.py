"""Trials of a tiny project: every set and seed is trained once, asked the same, and not again after a kill."""

import dataclasses

import pandas as pd
import pytest

from synthpairs.artwork.world import World
from synthpairs.benchmarks.definitions import definitions
from synthpairs.schema import ANSWERS, BENCHMARK, INSTRUCTIONS
from synthpairs.storage import write_bytes, write_table
from synthpairs.studies import measure
from synthpairs.studies.measure import Setting, measure_studies
from synthpairs.studies.naming import named
from synthpairs.studies.params import NAMING, Studies, TrainingSet
from synthpairs.studies.sets import Pool
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import assemble
from tests.images.conftest import settings as images  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import _png, narrow, parts, training  # noqa: F401

CONCEPTS = ["dog", "cat", "bus"]


@pytest.fixture
def setting(data, settings, images, narrow, training) -> Setting:  # noqa: F811
    turns = [{"question": "What is this?", "answer": "dog"}]
    rows = [{"uid": str(n), "task": "single", "turns": turns, "picture": _png(n), "drawings": []} for n in range(8)]
    write_table(data / "tasks/instructions.parquet", rows, INSTRUCTIONS)
    for task in ("desk_caption", "desk_vqa"):
        items = [
            {"uid": f"{task}{n}", "question": "What is this?", "answers": [CONCEPTS[n % 3], "a thing"], "choices": None,
             "category": "single", "concept": CONCEPTS[n % 3], "picture": _png(n), "drawings": []}
            for n in range(6)
        ]  # fmt: skip
        write_table(data / f"tasks/{task}.parquet", items, BENCHMARK)
        write_bytes(data / f"tasks/{task}.yaml", definitions()[f"{task}.yaml"].encode())
    return Setting(
        studies=Studies(seeds=[0, 1], sizes=[2], steps=2, tasks=["desk_vqa"], items=4),
        pool=Pool(data=data, select=settings(), images=images(candidates=1)),
        vlm=narrow,
        align=Align(**training | {"max_steps": 0}, start=None),
        finetune=Finetune(**training, start=None, projector_learning_rate=0.01, lora=None, instructions=None),
        batch=4,
        world=World(concepts=CONCEPTS),
    )


def test_every_set_and_seed_answers_the_same_items_once(setting, monkeypatch):
    few = {"selection": [TrainingSet("top", 3), TrainingSet("real", 3)], "size": [TrainingSet("top", 3)]}
    monkeypatch.setattr(measure, "planned", lambda studies, k: few)
    found = measure_studies(setting)
    answers = found.answers
    distinct = {str(chosen) for sets in found.studies.values() for chosen in sets}
    assert set(found.concepts) == distinct
    assert all(1 <= count <= 3 for counts in found.concepts.values() for count in counts)
    assert answers.columns.tolist() == ["set", "seed", *ANSWERS.names]
    groups = answers.groupby(["set", "seed"])["uid"].agg(sorted)
    assert len(groups) == len(distinct) * 2
    assert all(items == groups.iloc[0] for items in groups)
    assert set(answers["task"]) == {"desk_vqa", NAMING}
    assert len(groups.iloc[0]) == 4 + 6

    monkeypatch.setattr(measure, "_trial", None)  # nothing is trained again
    again = measure_studies(setting).answers
    pd.testing.assert_frame_equal(answers, again)


def test_without_benchmarks_the_projector_alone_is_asked_and_nothing_is_tuned(setting, monkeypatch):
    monkeypatch.setattr(measure, "planned", lambda studies, k: {"selection": [TrainingSet("top", 3)]})
    monkeypatch.setattr(measure, "finetune", None)
    found = measure_studies(dataclasses.replace(setting, studies=dataclasses.replace(setting.studies, tasks=[])))
    assert set(found.answers["task"]) == {NAMING}


def test_a_seed_changes_every_training_and_the_projector_is_left_as_the_pairs_made_it(setting):
    ours = dataclasses.replace(setting, finetune=dataclasses.replace(setting.finetune, seed=9)).of_seed(5)
    assert (ours.vlm.seed, ours.align.seed, ours.finetune.seed) == (5, 5, 5)
    assert (ours.finetune.start, ours.finetune.max_steps) == (None, setting.studies.steps)


def test_the_work_store_is_that_of_these_very_inputs(setting):
    first = setting.fingerprint()
    assert (
        first == dataclasses.replace(setting, studies=dataclasses.replace(setting.studies, seeds=[7, 8])).fingerprint()
    )
    assert first != dataclasses.replace(setting, studies=dataclasses.replace(setting.studies, steps=3)).fingerprint()
    file = setting.pool.data / "scores/scores.parquet"
    file.write_bytes(file.read_bytes() + b"x")
    assert first != setting.fingerprint()


def test_a_picture_is_named_by_the_name_nearest_to_what_the_projector_says(narrow, data):  # noqa: F811
    import torch

    model, processor = assemble(narrow)
    items = pd.DataFrame(
        {"uid": ["a", "b", "c"], "category": "single", "concept": CONCEPTS, "picture": [_png(n) for n in range(3)]}
    )
    words = model.get_input_embeddings().weight.float()
    names = torch.stack(
        [words[processor.tokenizer(f" {name}", add_special_tokens=False).input_ids].mean(0) for name in CONCEPTS]
    )

    class Says(torch.nn.Module):
        """Says the names one after another, whatever is seen."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, seen):
            return names[:, None].expand(-1, seen.shape[1], -1)

    model.model.multi_modal_projector = Says()
    told = named(model, processor, items, CONCEPTS)
    assert told["prediction"].tolist() == CONCEPTS
    assert told["score"].tolist() == [1.0, 1.0, 1.0]
