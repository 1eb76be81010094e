"""Learning curves: one training per arm and seed, resumed by trial, and the step that reaches the baseline."""

import dataclasses
import io
import json

import datasets
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from synthpairs.core.schema import REAL_PAIRS
from synthpairs.core.storage import shard_bytes, write_bytes, write_json, write_table
from synthpairs.evaluation.benchmarks.params import Benchmark, ExternalBenchmarks, RouteTasks
from synthpairs.experiments import learning_curves
from synthpairs.experiments.learning_curves import (
    TASK,
    LearningCurvesConfig,
    caption_questions,
    first_reached,
    learning_curves_figure,
    measure_learning_curves,
)
from synthpairs.experiments.params import LearningCurves, Reading
from synthpairs.experiments.token_controls import control_data
from synthpairs.experiments.trials import answer_rows
from synthpairs.generation.masked.tokens import encoded
from synthpairs.selection.mixing import Mixing
from synthpairs.vlm.params import Training
from synthpairs.vlm.pretraining import PROJECTOR
from tests.evaluation.benchmarks.test_captioning import jpeg
from tests.experiments.conftest import write_tasks
from tests.generation.masked.conftest import settings, tiny_masked  # noqa: F401
from tests.vlm.conftest import WORDS, parts, resampler, training, tuning  # noqa: F401

CODES, CHANNELS = 32, 4  # of the tiny tokenizer
QUESTION = "Describe the picture."


@pytest.fixture
def data(tmp_path):
    """All inputs; the VQ tokens of a pair determine which of WORDS is its caption."""
    return write_data(tmp_path / "data", (2, 2))


def write_data(folder, grid):
    rng = np.random.default_rng(0)
    grids = rng.integers(0, CODES, (len(WORDS), *grid)).astype(np.uint16)
    pairs = [
        {"key": f"k{n:02}", "text": WORDS[n % 5], "concept": "", "drawings": [], "tokens": grids[n % 5].ravel()}
        for n in range(24)
    ]
    write_table(folder / "real_pairs/pairs.parquet", pairs, REAL_PAIRS)
    write_json(folder / "real_pairs/list.json", {"grid": grid})
    made = [(f"g{n}", encoded(grids[n], None, CODES) | {"txt": WORDS[n].encode()}) for n in range(len(WORDS))]
    write_bytes(folder / "generated_tokens/shard-0.tar", shard_bytes(made))
    manifest = pd.DataFrame({"shard": "shard-0.tar", "key": [key for key, _ in made], "text": WORDS})
    manifest.to_parquet(folder / "generated_tokens/manifest.parquet")
    generator = {"grid": grid, "codes": CODES, "channels": CHANNELS, "vectors": "hard"}
    write_json(folder / "generated_tokens/generator.json", {"inputs": generator})
    write_tasks(folder / "tasks", [TASK], QUESTION, WORDS)
    return folder


@pytest.fixture
def config(data, parts, resampler, training, tuning, settings, monkeypatch):  # noqa: F811
    """Makes a config of ten steps, with changed `learning_curves`; the work store is in the test's directory."""
    monkeypatch.setenv("DVC_ROOT", str(data.parent))
    values = {
        "seeds": [3],
        "points": [0.25, 1.0],
        "controls": [],
        "items": 4,
        "reading": Reading(steps=1, learning_rate=0.01),
    }
    return lambda **changed: LearningCurvesConfig(
        learning_curves=LearningCurves(**values | changed),
        generate_tokens=settings(),
        mixing=Mixing(seed=7, draws=40, synthetic={"real-tokens": 0.0, "genpair": 0.5, "synthetic": 1.0}),
        pretrain=Training(**training),
        finetune=tuning(projector_learning_rate=0.01),
        vlm=parts,
        resampler=resampler,
        benchmark=Benchmark(tasks=RouteTasks(pictures=[], tokens=[]), batch_size=4, resamples=100, seed=0),
        external_benchmarks=ExternalBenchmarks(pictures=[], tokens=[], text=[], shots=0, limit=None, include=None),
        data=data,
    )


@pytest.fixture
def weights(monkeypatch):
    """A weight of the resampler by ARM-SEED/STEP, which replaces its score, since captions take seconds."""
    by_name = {}

    def answers(pretrained, config, rows, work):
        ask = load_file(pretrained / PROJECTOR)["ask.weight"]
        by_name[f"{work.name.removesuffix('-all')}/{pretrained.name}"] = ask
        return answer_rows("", ["a"], [""], [float(ask.sum())])

    monkeypatch.setattr(learning_curves, "caption_answers", answers)
    return by_name


def test_captions_are_scored_after_fine_tuning(config):
    results = measure_learning_curves(config(points=[1.0]))
    assert (results["steps"], results["n"], results["seeds"]) == ([10], 4, [3])
    assert (results["task"], results["measure"]) == ("desk_caption", "cider_d")
    scores = np.array(list(results["arms"].values()))
    assert scores.shape == (2, 1, 1)
    assert ((scores >= 0) & (scores <= 10)).all()


def test_the_first_captioning_task_of_external_benchmarks_is_asked(config, tmp_path, monkeypatch):
    samples = [(f"s{n}", {"jpg": jpeg(n), "txt": f"{word}\n\na dog".encode()}) for n, word in enumerate(WORDS)]
    write_bytes(tmp_path / "sets/clip-benchmark/wds_flickr30k/test/0.tar", shard_bytes(samples))
    monkeypatch.setenv("SYNTHPAIRS_DATASETS", str(tmp_path / "sets"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    given = config(points=[1.0], seeds=[0])
    external = dataclasses.replace(given.external_benchmarks, tokens=["mmmu_val", "flickr30k_caption"], text=["mmlu"])
    results = measure_learning_curves(dataclasses.replace(given, external_benchmarks=external))
    assert (results["task"], results["measure"], results["n"]) == ("flickr30k_caption", "cider_d", 4)
    assert np.array(list(results["arms"].values())).shape == (2, 1, 1)
    assert results["final"]["tasks"]["flickr30k_caption"]["measure"] == "cider_d"


def test_every_arm_and_seed_is_a_training_with_all_points(config, weights):
    results = measure_learning_curves(config(seeds=[0, 1]))
    names = [f"{arm}-{seed}/{step}" for arm in ("real-tokens", "genpair") for seed in (0, 1) for step in (2, 10)]
    assert sorted(weights) == sorted(names)
    values = [value for runs in results["arms"].values() for values in runs for value in values]
    assert values == [round(float(weights[name].sum()), 6) for name in names]
    assert len(set(values)) == len(values)


def test_control_sets_are_compared_at_the_last_step(config, weights):
    results = measure_learning_curves(config(seeds=[0, 1], controls=["few-real", "synthetic"]))
    compared = results["controls"]
    assert compared["sets"] == ["few-real", "synthetic", "real-tokens", "genpair"]
    for name, row in compared["tasks"][TASK]["sets"].items():
        assert row["seeds"] == [round(float(weights[f"{name}-{seed}/10"].sum()), 6) for seed in (0, 1)]
    assert not any(key.endswith("/2") for key in weights if key.startswith(("few-real", "synthetic")))
    assert measure_learning_curves(config(seeds=[0, 1]))["arms"] == results["arms"], (
        "trials do not depend on the others"
    )


def test_control_sets_differ_in_one_thing_each(settings, tmp_path):  # noqa: F811
    data, generate = write_data(tmp_path / "data", (4, 4)), settings()
    few, again, made = (
        pd.read_parquet(
            control_data(name, data, generate, seed, tmp_path / f"{name}{seed}") / "real_pairs/pairs.parquet"
        )
        for name, seed in (("few-real", 1), ("few-real", 2), ("regenerated", 1))
    )
    assert len(few) == len(again) == len(made) == len(WORDS)
    assert set(few["key"]) != set(again["key"])
    assert few["text"].tolist() == made["text"].tolist()
    assert few["key"].tolist() == made["key"].tolist()
    real = pd.read_parquet(data / "real_pairs/pairs.parquet").set_index("key")["tokens"]
    for table, same in ((few, True), (made, False)):
        assert all((real[row["key"]] == row["tokens"]).all() == same for row in table.to_dict("records"))


def test_results_are_deterministic_and_independent_of_earlier_points(config, weights, tmp_path, monkeypatch):
    results = measure_learning_curves(config())
    last = {name: ask for name, ask in weights.items() if name.endswith("/10")}
    weights.clear()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "second"))
    assert json.dumps(measure_learning_curves(config())) == json.dumps(results)
    measure_learning_curves(config(points=[1.0]))
    assert all(torch.equal(ask, weights[name]) for name, ask in last.items())


def test_a_killed_measurement_resumes_its_trial(config, weights, tmp_path, monkeypatch):
    whole = measure_learning_curves(config())
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "killed"))
    pretrained, scored = [], []
    pretrain, score = learning_curves.pretrain_tokens, learning_curves.caption_answers

    def dies(*arguments):
        scored.append(1)
        if len(scored) == 4:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(learning_curves, "pretrain_tokens", lambda *given: pretrained.append(1) or pretrain(*given))
    monkeypatch.setattr(learning_curves, "caption_answers", dies)
    with pytest.raises(KeyboardInterrupt):
        measure_learning_curves(config())
    assert json.dumps(measure_learning_curves(config())) == json.dumps(whole)  # NaN is not equal to itself
    assert len(pretrained) == 2
    assert len(scored) == 4 + 2  # the second arm's two points again


def test_caption_questions_about_images_are_kept():
    classify, describe = {"question": "What is this?", "answer": "dog"}, {"question": QUESTION, "answer": "a dog"}
    turns = [[classify, describe], [classify], [describe]]
    rows = caption_questions(pd.DataFrame({"turns": turns, "picture": [b"png", b"png", None]}))
    assert rows["turns"].tolist() == [[describe]]


def test_first_reached_is_the_first_step_at_the_baselines_last_mean():
    baseline = [[0.1, 0.9, 0.4], [0.1, 0.9, 0.6]]
    assert first_reached([1, 2, 3], baseline, [[0.0, 0.4, 0.4], [0.0, 0.7, 0.9]]) == {"step": 2, "baseline": 0.5}
    assert first_reached([1, 2, 3], baseline, [[0.0, 0.4, 0.4]]) == {"step": None, "baseline": 0.5}


def test_pretraining_that_ends_steps_earlier_for_skipped_pairs_is_the_last_point(config, data, weights):
    rows = pd.read_parquet(data / "real_pairs/pairs.parquet").to_dict("records")
    blank = [row | {"text": "" if number < 4 else row["text"]} for number, row in enumerate(rows)]
    write_table(data / "real_pairs/pairs.parquet", blank, REAL_PAIRS)
    lenient = config()
    pretrain = dataclasses.replace(lenient.pretrain, max_skipped_ratio=0.5)
    results = measure_learning_curves(dataclasses.replace(lenient, pretrain=pretrain))
    assert results["steps"] == [2, 10]
    assert not torch.equal(weights["real-tokens-3/2"], weights["real-tokens-3/10"])


def test_impossible_measurements_are_refused(config, data):
    short = config()
    pretrain = dataclasses.replace(short.pretrain, max_length=6, max_skipped_ratio=1.0)  # the image alone
    for _ in range(2):  # its pretraining is finished the second time
        with pytest.raises(
            ValueError, match=r"ends before step 2 of 10: mend .*, or increase pretrain_tokens\.max_length"
        ):
            measure_learning_curves(dataclasses.replace(short, pretrain=pretrain))
    (data / "generated_tokens/manifest.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest\.parquet is missing: run `dvc repro generate_tokens` first"):
        measure_learning_curves(config())


@pytest.mark.parametrize("step", [5, None])
def test_the_figure_is_the_same_twice_whatever_the_machine_s_style(step):
    results = {
        "measure": "cider_d", "task": "desk_caption", "n": 10, "seeds": [0, 1], "steps": [2, 5, 10],
        "arms": {"real-tokens": [[0.1, 0.5, 0.9], [0.2, 0.4, 1.1]], "genpair": [[0.3, 1.0, 1.2], [0.2, 1.1, 1.3]]},
        "reached": {"step": step, "baseline": 1.0},
    }  # fmt: skip
    first = learning_curves_figure(results)
    with mpl.rc_context({"font.size": 30, "lines.linewidth": 9}):
        assert learning_curves_figure(results) == first
    assert Image.open(io.BytesIO(first)).width > 300
