"""Paintings of a tiny project: the first is the main run's, the others are of the same captions, and all are measured alike."""

import pandas as pd
import pytest

from synthpairs.evaluation.distributions.make import TABLE, make_distributions
from synthpairs.experiments import noise_seeds
from synthpairs.experiments.noise_seeds import NoiseSeedsSetting, measure_noise_seeds
from synthpairs.experiments.params import NoiseSeeds
from synthpairs.generation.diffusion.make import make_images
from synthpairs.report.sections.noise_seeds import noise_seeds_page
from synthpairs.scoring.score import score_images
from synthpairs.selection.make import make_selection
from tests.evaluation.distributions.conftest import PARAMS
from tests.generation.diffusion.conftest import settings as images  # noqa: F401
from tests.scoring.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401


@pytest.fixture
def setting(data, settings, images, scores):  # noqa: F811
    """A main run of one candidate a caption."""
    params = images(candidates=1)
    make_images(pd.read_parquet(data / "captions/kept.parquet"), params, data / "images")
    score_images(pd.read_parquet(data / "images/manifest.parquet"), scores(), data / "images", data / "scores")
    make_selection(settings(), ["selected", "real"], data, data / "selection")
    return NoiseSeedsSetting(
        noise_seeds=NoiseSeeds(paintings=3),
        data=data,
        images=params,
        scores=scores(),
        select=settings(),
        distributions=PARAMS,
    )


def test_the_first_painting_is_the_main_run_s_and_the_others_are_not(setting, monkeypatch):
    generated = []

    def noted(*inputs):
        made = make_distributions(*inputs)
        generated.append(pd.read_parquet(inputs[-1] / TABLE).query("origin == 'synthetic'"))
        return made

    monkeypatch.setattr(noise_seeds, "make_distributions", noted)
    paintings = measure_noise_seeds(setting)["paintings"]
    folders = setting.data, setting.data / "distributions"
    main, _, _ = make_distributions(setting.distributions, setting.scores, setting.select, *folders)
    assert paintings[0] == main
    assert paintings[1] != main != paintings[2] != paintings[1]
    assert [sorted(table["uid"]) for table in generated] == [sorted(generated[0]["uid"])] * 3
    assert pd.concat(generated)["key"].is_unique
    assert all(one["candidates"] == len(generated[0]) and one["sets"]["selected"]["n"] == 3 for one in paintings)
    assert measure_noise_seeds(setting)["paintings"] == paintings
    assert "| noise seed 2 |" in noise_seeds_page(paintings)
