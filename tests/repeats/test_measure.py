"""Repeats of a tiny project: the run's own models are asked, the others are trained once, all on the same questions."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.benchmarks.definitions import definitions
from synthpairs.benchmarks.params import Asked, Benchmark
from synthpairs.perplexity.params import Perplexity
from synthpairs.preference.image_pairs import ImagePair
from synthpairs.preference.params import Preference
from synthpairs.repeats import measure
from synthpairs.repeats.measure import Setting, measure_repeats
from synthpairs.repeats.params import CONTROL, LOSS, PREFERENCE, RUN, Repeats
from synthpairs.schema import ANSWERS, BENCHMARK, INSTRUCTIONS
from synthpairs.storage import write_bytes, write_table
from synthpairs.vlm.llava import Align, Finetune
from synthpairs.vlm.model import Vlm, assemble, save
from tests.preference.conftest import PARAMS
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import _png, parts, training  # noqa: F401

CONCEPTS = ["dog", "cat", "bus"]
TEXT = "A dog.\n\nTwo cats on red.\n"


@pytest.fixture
def setting(data, settings, parts, training, tmp_path, monkeypatch) -> Setting:  # noqa: F811
    """Two arms, one further seed; the models of the main run lie where it puts them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measure, "draw_image_pairs", couples)
    turns = [{"question": "What is this?", "answer": "dog"}]
    rows = [{"uid": str(n), "task": "single", "turns": turns, "picture": _png(n), "drawings": []} for n in range(8)]
    write_table(data / "tasks/instructions.parquet", rows, INSTRUCTIONS)
    items = [
        {"uid": str(n), "question": "What is this?", "answers": [CONCEPTS[n % 3]], "choices": None, "category": "single",
         "concept": CONCEPTS[n % 3], "picture": _png(n), "drawings": []}
        for n in range(6)
    ]  # fmt: skip
    write_table(data / "tasks/desk_vqa.parquet", items, BENCHMARK)
    for name, text in definitions().items():
        if name.startswith("desk_vqa"):
            write_bytes(data / f"tasks/{name}", text.encode())
    Path("held_out.txt").write_text(TEXT)
    setting = Setting(
        repeats=Repeats(seeds=[1]),
        data=data,
        arms=["selected", "real"],
        select=settings(),
        vlm=parts,
        align=Align(**training, start=None),
        finetune=Finetune(**training, start=None, projector_learning_rate=0.01, lora=None, instructions=None),
        benchmark=Benchmark(tasks=Asked(pictures=["desk_vqa"], codes=[]), batch=4, resamples=100, seed=0),
        perplexity=Perplexity(
            models=[parts.llm], text=None, path="held_out.txt", tokens=20, window=8, resamples=100, seed=0
        ),
        preference=PARAMS,
    )
    save(*assemble(parts), Path("models/vlm/untrained"))
    for arm in setting.arms:
        measure._train(arm, setting, Path("models/vlm") / arm)
        (Path("models/vlm") / arm / "tuned").rename(Path("models/vlm") / arm / "finetuned")
    return setting


def couples(params: Preference, data: Path) -> list[ImagePair]:  # noqa: F811
    """Four captions about three things, a pair of pictures each."""
    return [
        ImagePair(couple=f"c{n}", text=f"one {CONCEPTS[n % 3]}", concept=CONCEPTS[n % 3], synthetic_key=f"s{n}",
               real_key=f"r{n}", synthetic=_png(n), real=_png(9 - n))
        for n in range(4)
    ]  # fmt: skip


def test_every_model_answers_the_same_and_is_made_once(setting, monkeypatch):
    trained, train = [], measure._train

    def noted(arm, told, work):
        trained.append((arm, told.finetune.seed))
        return train(arm, told, work)

    monkeypatch.setattr(measure, "_train", noted)
    answers = measure_repeats(setting)
    assert trained == [("selected", 1), ("real", 1)]  # those of the main run are asked as they are
    assert answers.columns.tolist() == ["set", "seed", *ANSWERS.names]
    assert not answers["blind"].any()
    asked = answers.groupby(["set", "seed"])["task"].agg(lambda tasks: sorted(set(tasks))).to_dict()
    everything = sorted(["desk_vqa", LOSS, PREFERENCE, CONTROL])
    untouched = {(name, seed): [LOSS] for name in ("llm", "untrained") for seed in (RUN, "1")}
    assert asked == untouched | {(arm, seed): everything for arm in setting.arms for seed in (RUN, "1")}
    for task, each in answers.groupby(["task", "set", "seed"])["uid"].agg(list).groupby(level=0):
        assert all(uids == each.iloc[0] for uids in each), task
    losses = answers[answers["task"] == LOSS].pivot(index="uid", columns=["set", "seed"], values="score")
    assert len(losses) == 20
    assert (losses["llm"][RUN] == losses["llm"]["1"]).all()
    assert (losses["selected"][RUN] != losses["selected"]["1"]).any()
    assert set(answers[answers["task"].isin([PREFERENCE, CONTROL])]["score"]) <= {0.0, 0.5, 1.0}

    monkeypatch.setattr(measure, "_train", None)
    monkeypatch.setattr(measure, "_ask", None)
    pd.testing.assert_frame_equal(measure_repeats(setting), answers)


def test_a_seed_decides_all_that_is_drawn(setting):
    ours = setting.of_seed(5)
    assert [part.seed for part in (ours.select, ours.vlm, ours.align, ours.finetune)] == [5] * 4
    assert ours.benchmark == setting.benchmark


def test_the_work_store_is_that_of_these_very_inputs(setting):
    first = setting.fingerprint()
    assert dataclasses.replace(setting, repeats=Repeats(seeds=[1, 2])).fingerprint() == first
    changed = dataclasses.replace(setting, vlm=dataclasses.replace(setting.vlm, seed=7))
    assert isinstance(changed.vlm, Vlm)
    assert changed.fingerprint() != first
    write_bytes(setting.data / "tasks/more.yaml", b"{}")
    assert setting.fingerprint() != first


def test_the_run_s_own_seed_is_no_repeat(setting):
    with pytest.raises(
        ValueError, match=r"params\.yaml: repeats\.seeds must not hold .* finetune\.seed \(3\), got \[3\]"
    ):
        measure_repeats(dataclasses.replace(setting, repeats=Repeats(seeds=[3])))


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_are_different_and_not_none(seeds):
    with pytest.raises(ValueError, match=r"params\.yaml: repeats\.seeds must be different numbers"):
        Repeats(seeds=seeds)
