"""Arms of a tiny project under other seeds: each is trained once, and all have the same evaluation."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.evaluation.benchmarks.params import Benchmark, RouteTasks
from synthpairs.evaluation.perplexity.params import Perplexity
from synthpairs.evaluation.preference.image_pairs import ImagePair
from synthpairs.experiments import seeds
from synthpairs.experiments.params import Seeds
from synthpairs.experiments.results import CONTROL, LOSS, PREFERENCE, seed_results
from synthpairs.experiments.seeds import RUN, SeedsConfig, measure_seeds
from synthpairs.vlm.model import assemble, save
from synthpairs.vlm.params import Pretrain
from tests.evaluation.preference.conftest import PARAMS
from tests.experiments.conftest import CONCEPTS, write_tasks
from tests.selection.conftest import data, settings  # noqa: F401
from tests.vlm.conftest import _png, parts, training, tuning  # noqa: F401


@pytest.fixture
def config(data, settings, parts, training, tuning, tmp_path, monkeypatch):  # noqa: F811
    """Two arms and one further seed; models of the main run are in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seeds, "draw_image_pairs", image_pairs)
    write_tasks(data / "tasks", ["desk_vqa"])
    Path("held_out.txt").write_text("A dog.\n\nTwo cats on red.\n")
    config = SeedsConfig(
        seeds=Seeds(seeds=[1]),
        data=data,
        arms=["selected", "real"],
        select=settings(),
        vlm=parts,
        pretrain=Pretrain(**training, projector_init=None),
        finetune=tuning(projector_learning_rate=0.01),
        benchmark=Benchmark(tasks=RouteTasks(pictures=["desk_vqa"], tokens=[]), batch_size=4, resamples=100, seed=0),
        perplexity=Perplexity(
            models=[parts.llm], text=None, path="held_out.txt", tokens=20, window=8, resamples=100, seed=0
        ),
        preference=PARAMS,
    )
    save(*assemble(parts), Path("models/vlm/untrained"))
    for arm in config.arms:
        seeds._train(arm, config, Path("models/vlm") / arm).rename(Path("models/vlm") / arm / "finetuned")
    return config


def image_pairs(params, folder):
    """Four captions about three concepts, each with a generated and a real image."""
    return [
        ImagePair(couple=f"c{n}", text=f"one {CONCEPTS[n % 3]}", concept=CONCEPTS[n % 3], synthetic_key=f"s{n}",
               real_key=f"r{n}", synthetic=_png(n), real=_png(9 - n))
        for n in range(4)
    ]  # fmt: skip


def test_every_model_is_trained_once_and_evaluated_alike(config, monkeypatch):
    trained, train, tables = [], seeds._train, []
    monkeypatch.setattr(
        seeds, "_train", lambda arm, own, work: trained.append((arm, own.finetune.seed)) or train(arm, own, work)
    )
    monkeypatch.setattr(seeds, "seed_results", lambda *inputs: tables.append(inputs[0]) or seed_results(*inputs))
    results = measure_seeds(config)
    assert trained == [("selected", 1), ("real", 1)]  # those of the main run are not trained again
    assert results["seeds"] == ["1", RUN]
    assert {name: part["sets"] for name, part in results.items() if name != "seeds"} == {
        "benchmarks": ["selected", "real"],
        "language": ["llm", "untrained", "selected", "real"],
        "preference": ["selected", "real"],
    }
    answers = tables[0]
    assert not answers["blind"].any()
    tasks = answers.groupby(["set", "seed"])["task"].agg(lambda rows: sorted(set(rows))).to_dict()
    everything = sorted(["desk_vqa", LOSS, PREFERENCE, CONTROL])
    untouched = {(name, seed): [LOSS] for name in ("llm", "untrained") for seed in (RUN, "1")}
    assert tasks == untouched | {(arm, seed): everything for arm in config.arms for seed in (RUN, "1")}
    for task, each in answers.groupby(["task", "set", "seed"])["uid"].agg(list).groupby(level=0):
        assert all(uids == each.iloc[0] for uids in each), task
    losses = answers[answers["task"] == LOSS].pivot(index="uid", columns=["set", "seed"], values="score")
    assert len(losses) == 20
    assert (losses["llm"][RUN] == losses["llm"]["1"]).all()
    assert (losses["selected"][RUN] != losses["selected"]["1"]).any()
    assert set(answers[answers["task"].isin([PREFERENCE, CONTROL])]["score"]) <= {0.0, 0.5, 1.0}

    monkeypatch.setattr(seeds, "_trial", lambda *_: pytest.fail("trained again"))
    assert measure_seeds(config) == results
    pd.testing.assert_frame_equal(tables[1], answers)


def test_a_seed_changes_every_random_choice_but_the_evaluation(config):
    seeded = config.with_seed(5)
    assert [part.seed for part in (seeded.select, seeded.vlm, seeded.pretrain, seeded.finetune)] == [5] * 4
    for name in ("benchmark", "perplexity", "preference"):
        assert getattr(seeded, name) == getattr(config, name)


def test_the_run_s_own_seed_is_no_repetition(config):
    with pytest.raises(ValueError, match=r"experiments\.seeds\.seeds must not hold .* finetune\.seed \(3\), got \[3\]"):
        measure_seeds(dataclasses.replace(config, seeds=Seeds(seeds=[3])))
