"""Curves come from one training per arm and seed, resume by run, and say when the baseline is reached."""

import dataclasses
import json

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from synthpairs.curves import measure
from synthpairs.curves.measure import caption_questions, measure_curves, reached
from synthpairs.vlm.llava import PROJECTOR
from tests.curves.conftest import QUESTION


@pytest.fixture
def seen(monkeypatch):
    """Weights by which a resampler is known, as ARM-SEED/STEP; they stand for its score, for captions take seconds."""
    found = {}

    def score(aligned, setting, rows, tuned):
        weights = load_file(aligned / PROJECTOR)["ask.weight"]
        found[f"{aligned.parent.name}/{aligned.name}"] = weights
        return round(float(weights.sum()), 6)

    monkeypatch.setattr(measure, "caption_score", score)
    return found


def test_captions_are_scored_after_reading(setting):
    results = measure_curves(setting(seeds=[3], points=[1.0]))
    assert (results["steps"], results["n"], results["seeds"]) == ([10], 4, [3])
    assert (results["task"], results["measure"]) == ("desk_caption", "cider_d")
    assert [len(values[0]) for values in results["arms"].values()] == [1, 1]
    assert all(0 <= values[0][0] <= 10 for values in results["arms"].values())


def test_every_run_is_a_training_of_its_own_with_all_its_points(setting, seen):
    results = measure_curves(setting())
    names = [f"{arm}-{seed}/{step}" for arm in ("real-codes", "genpair") for seed in (0, 1) for step in (2, 10)]
    assert sorted(seen) == sorted(names)
    values = [value for runs in results["arms"].values() for values in runs for value in values]
    assert values == [round(float(seen[name].sum()), 6) for name in names]
    assert len(set(values)) == len(values)


def test_points_on_the_way_change_nothing_and_two_measurements_are_equal(setting, seen):
    results = measure_curves(setting(seeds=[3]))
    last = {name: weights for name, weights in seen.items() if name.endswith("/10")}
    seen.clear()
    assert json.dumps(measure_curves(setting(seeds=[3]))) == json.dumps(results)
    measure_curves(setting(seeds=[3], points=[1.0]))
    assert all(torch.equal(weights, seen[name]) for name, weights in last.items())


def test_a_killed_measurement_goes_on_with_the_run_it_was_in(setting, seen, monkeypatch):
    whole = measure_curves(setting(seeds=[3]))
    aligned, scored = [], []
    align, score = measure.align_codes, measure.caption_score

    def aligning(*arguments):
        aligned.append(1)
        return align(*arguments)

    def dies(*arguments):
        scored.append(1)
        if len(scored) == 4:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(measure, "align_codes", aligning)
    monkeypatch.setattr(measure, "caption_score", dies)
    with pytest.raises(KeyboardInterrupt):
        measure_curves(setting(seeds=[3]))
    assert measure_curves(setting(seeds=[3])) == whole
    assert len(aligned) == 2
    assert len(scored) == 4 + 2  # the second arm's two points again, the first arm's never


def test_only_caption_questions_about_pictures_are_read(data):
    rows = caption_questions(pd.read_parquet(data / "tasks/instructions.parquet"))
    assert len(rows) == 6
    assert {turn["question"] for turns in rows["turns"] for turn in turns} == {QUESTION}


def test_reached_is_the_first_step_at_the_baselines_last_mean():
    baseline = [[0.1, 0.9, 0.4], [0.1, 0.9, 0.6]]
    assert reached([1, 2, 3], baseline, [[0.0, 0.4, 0.4], [0.0, 0.7, 0.9]]) == {"step": 2, "baseline": 0.5}
    assert reached([1, 2, 3], baseline, [[0.0, 0.4, 0.4]]) == {"step": None, "baseline": 0.5}


def test_pairs_that_are_left_out_are_refused(setting):
    short = setting()
    align = dataclasses.replace(short.align, max_tokens=15, max_skipped=1.0)
    with pytest.raises(ValueError, match=r"the alignment ends at step \d, not 10: raise align_codes\.max_tokens"):
        measure_curves(dataclasses.replace(short, align=align))


def test_what_is_missing_names_its_command(setting, data):
    (data / "embedded/manifest.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"manifest\.parquet is missing: run `dvc repro embed` first"):
        measure_curves(setting())


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_differ(setting, seeds):
    with pytest.raises(ValueError, match=r"params\.yaml: curves\.seeds must be different numbers"):
        setting(seeds=seeds)


@pytest.mark.parametrize("points", [[], [0.5], [0.5, 0.5, 1.0], [1.0, 0.5]])
def test_points_rise_to_the_end(setting, points):
    with pytest.raises(ValueError, match=r"params\.yaml: curves\.points must rise and end with 1"):
        setting(points=points)
    assert setting(points=[0.001, 0.002, 1.0]).steps == [1, 10]
