"""Arms of a tiny project under other seeds: the run's own models are asked, the others trained once, and all asked the same."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.evaluation.benchmarks.params import Asked, Benchmark
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.image_pairs import ImagePair
from synthpairs.experiments import seeds
from synthpairs.experiments.params import Seeds
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE, seed_results
from synthpairs.experiments.seeds import RUN, SeedsSetting, measure_seeds
from synthpairs.vlm.model import assemble, save
from synthpairs.vlm.params import Align, Finetune
from tests.evaluation.preference.conftest import PARAMS
from tests.experiments.conftest import CONCEPTS, write_tasks
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import _png, parts, training  # noqa: F401


@pytest.fixture
def setting(data, settings, parts, training, tmp_path, monkeypatch):  # noqa: F811
    """Two arms, one further seed; the models of the main run lie where it puts them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "draw_image_pairs", image_pairs)
    write_tasks(data / "tasks", ["desk_vqa"])
    Path("held_out.txt").write_text("A dog.\n\nTwo cats on red.\n")
    setting = SeedsSetting(
        seeds=Seeds(seeds=[1]),
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
        seeds._train(arm, setting, Path("models/vlm") / arm).rename(Path("models/vlm") / arm / "finetuned")
    return setting


def image_pairs(params, folder):
    """Four captions about three things, a generated and a real picture each."""
    return [
        ImagePair(couple=f"c{n}", text=f"one {CONCEPTS[n % 3]}", concept=CONCEPTS[n % 3], synthetic_key=f"s{n}",
               real_key=f"r{n}", synthetic=_png(n), real=_png(9 - n))
        for n in range(4)
    ]  # fmt: skip


def test_every_model_answers_the_same_and_is_made_once(setting, monkeypatch):
    trained, train, given = [], seeds._train, []
    monkeypatch.setattr(
        seeds, "_train", lambda arm, own, work: trained.append((arm, own.finetune.seed)) or train(arm, own, work)
    )
    monkeypatch.setattr(seeds, "seed_results", lambda *inputs: given.append(inputs[0]) or seed_results(*inputs))
    results = measure_seeds(setting)
    assert trained == [("selected", 1), ("real", 1)]  # those of the main run are asked as they are
    assert results["seeds"] == ["1", RUN]
    assert {name: part["sets"] for name, part in results.items() if name != "seeds"} == {
        "benchmarks": ["selected", "real"],
        "language": ["llm", "untrained", "selected", "real"],
        "preference": ["selected", "real"],
    }
    answers = given[0]
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

    monkeypatch.setattr(seeds, "_trial", lambda *_: pytest.fail("trained again"))
    assert measure_seeds(setting) == results
    pd.testing.assert_frame_equal(given[1], answers)


def test_a_seed_decides_all_that_is_drawn(setting):
    ours = setting.of_seed(5)
    assert [part.seed for part in (ours.select, ours.vlm, ours.align, ours.finetune)] == [5] * 4
    assert [
        name for name in ("benchmark", "perplexity", "preference") if getattr(ours, name) != getattr(setting, name)
    ] == []


def test_the_run_s_own_seed_is_no_repetition(setting):
    with pytest.raises(ValueError, match=r"experiments\.seeds\.seeds must not hold .* finetune\.seed \(3\), got \[3\]"):
        measure_seeds(dataclasses.replace(setting, seeds=Seeds(seeds=[3])))
