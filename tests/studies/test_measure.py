"""Trials of a tiny project: every set and seed is trained once, asked the same, and not again after a kill."""

import dataclasses

import pandas as pd
import pytest

from synthpairs.artwork.world import World
from synthpairs.benchmarks.definitions import definitions
from synthpairs.schema import ANSWERS, BENCHMARK, DRAWINGS, INSTRUCTIONS
from synthpairs.storage import write_bytes, write_table
from synthpairs.studies import measure
from synthpairs.studies.measure import Setting, measure_studies
from synthpairs.studies.naming import named
from synthpairs.studies.params import GAP, NAMING, UNSEEN, Studies, Study, TrainingSet
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import assemble
from tests.images.conftest import settings as images  # noqa: F401
from tests.scores.conftest import photo, png
from tests.scores.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import _png, narrow, parts, training  # noqa: F401

CONCEPTS = ["dog", "cat", "bus"]


def drawing(name: str) -> dict:
    """A drawing in a style that no training sees."""
    told = {
        "drawing": f"{name}/strange",
        "concept": name,
        "name": name,
        "kind": "thing",
        "keywords": [],
        "style": "strange",
    }
    return told | {"licence": "CC0-1.0", "split": "heldout_style", "png": png(photo(24, len(name)).convert("RGBA"))}


@pytest.fixture
def setting(data, settings, images, scores, narrow, training) -> Setting:  # noqa: F811
    write_table(data / "art/drawings.parquet", [drawing(name) for name in CONCEPTS], DRAWINGS)
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
        studies=Studies(
            seeds=[0, 1, 2],
            sizes=[2],
            per_concept=1,
            guidances=[],
            steps=2,
            tasks=["desk_vqa"],
            tuned=["selection"],
            tuned_seeds=2,
            items=4,
        ),
        data=data,
        select=settings(),
        images=images(candidates=1),
        scores=scores(),
        vlm=narrow,
        align=Align(**training | {"max_steps": 0}, start=None),
        finetune=Finetune(**training, start=None, projector_learning_rate=0.01, lora=None, instructions=None),
        batch=4,
        world=World(concepts=CONCEPTS),
    )


def test_every_set_and_seed_answers_the_same_items_once(setting, monkeypatch):
    top, real, small = TrainingSet("top", 3), TrainingSet("real", 3), TrainingSet("top", 2)
    few = {"selection": Study([top, real], [NAMING, "desk_vqa"]), "size": Study([top, small], [NAMING])}
    monkeypatch.setattr(measure, "planned", lambda studies, k: few)
    found = measure_studies(setting)
    answers = found.answers
    assert set(found.facts) == {"top-3", "real-3", "top-2"}
    for held in found.facts.values():
        assert len(held) == 3
        assert all(1 <= fact["concepts"] <= 3 and -1 <= fact["clip_cosine"] <= 1 for fact in held)
    assert answers.columns.tolist() == ["set", "seed", *ANSWERS.names]
    asked = answers.groupby(["set", "seed"])["task"].agg(lambda tasks: sorted(set(tasks)))
    everything, named = sorted([NAMING, UNSEEN, GAP, "desk_vqa"]), sorted([NAMING, UNSEEN, GAP])
    for (name, seed), tasks in asked.items():
        assert tasks == (everything if name != "top-2" and seed < 2 else named), (name, seed)
    items = answers.groupby(["set", "seed", "task"])["uid"].agg(sorted)
    for task, each in items.groupby("task"):
        assert all(uids == each.iloc[0] for uids in each), task
        assert len(each.iloc[0]) == (4 if task == "desk_vqa" else 6)
    table = answers.pivot(index=["set", "seed", "uid"], columns="task", values="score").dropna(subset=[GAP])
    assert (table[GAP] == table[NAMING] - table[UNSEEN]).all()

    monkeypatch.setattr(measure, "_trial", None)  # nothing is trained again
    again = measure_studies(setting).answers
    pd.testing.assert_frame_equal(answers, again)


def test_without_benchmarks_the_projector_alone_is_asked_and_nothing_is_tuned(setting, monkeypatch):
    monkeypatch.setattr(measure, "planned", lambda studies, k: {"selection": Study([TrainingSet("top", 3)], [NAMING])})
    monkeypatch.setattr(measure, "finetune", None)
    found = measure_studies(dataclasses.replace(setting, studies=dataclasses.replace(setting.studies, tasks=[])))
    assert set(found.answers["task"]) == {NAMING, UNSEEN, GAP}


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
    file = setting.data / "scores/scores.parquet"
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
