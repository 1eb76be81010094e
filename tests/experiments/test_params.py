"""Validation of section `experiments`."""

import dataclasses

import pytest

from synthpairs.core.config import convert, load_params
from synthpairs.experiments.params import Experiments, NoiseSeeds

PARAMS = load_params(Experiments, "experiments")


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("learning_curves", {"seeds": []}, "seeds must be different values, at least 1, got"),
        ("learning_curves", {"points": [0.5, 0.5, 1.0]}, "points must increase"),
        ("learning_curves", {"points": [0.5]}, "points must end with 1"),
        ("strategies", {"seeds": [0]}, "seeds must be different values, at least 2, got"),
        ("strategies", {"seeds": [1, 1]}, "seeds must be different"),
        ("strategies", {"sizes": [16, 8]}, "sizes must increase"),
        ("strategies", {"guidance_scales": [2.0, 2.0]}, "guidance_scales must be different"),
        ("strategies", {"tuned_seeds": 6}, "tuned_seeds must be at most the 5 seeds, got 6"),
        ("strategies", {"tasks": ["desk_vqa", "desk_vqa"]}, "tasks must be different"),
        ("strategies", {"tasks": ["desk_text"]}, "tasks must have images"),
        ("seeds", {"seeds": []}, "seeds must be different values, at least 1, got"),
    ],
)
def test_invalid_params_are_refused(name, changed, message):
    with pytest.raises(ValueError, match=rf"params\.yaml: experiments\.{name}\.{message}"):
        dataclasses.replace(getattr(PARAMS, name), **changed)


def test_points_are_different_steps():
    points = dataclasses.replace(PARAMS.learning_curves, points=[0.001, 0.002, 1.0])
    assert points.steps(10) == [1, 10]


def test_there_are_at_least_two_noise_seeds():
    with pytest.raises(ValueError, match=r"noise_seeds\.num_seeds must be from 2 to 100, got 1"):
        convert(NoiseSeeds, {"num_seeds": 1}, "noise_seeds")
