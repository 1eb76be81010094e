"""Noise seeds of a tiny project: the first has the main run's images, the others others of the same captions."""

import pandas as pd
import pytest

from synthpairs.evaluation.distributions.make import TABLE, make_distributions
from synthpairs.experiments import noise_seeds
from synthpairs.experiments.noise_seeds import NoiseSeedsConfig, measure_noise_seeds
from synthpairs.experiments.params import NoiseSeeds
from synthpairs.generation.diffusion.make import make_images
from synthpairs.report.experiments.noise_seeds import noise_seeds_page
from synthpairs.scoring.score import score_images
from synthpairs.selection.make import make_selection
from tests.evaluation.distributions.conftest import PARAMS
from tests.generation.diffusion.conftest import settings as images  # noqa: F401
from tests.scoring.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401


@pytest.fixture
def config(data, settings, images, scores):  # noqa: F811
    """A main run with one candidate per caption."""
    params = images(candidates=1)
    make_images(pd.read_parquet(data / "captions/kept.parquet"), params, data / "images")
    score_images(pd.read_parquet(data / "images/manifest.parquet"), scores(), data / "images", data / "scores")
    make_selection(settings(), ["selected", "real"], data, data / "selection")
    return NoiseSeedsConfig(
        noise_seeds=NoiseSeeds(num_seeds=3),
        data=data,
        images=params,
        scores=scores(),
        select=settings(),
        distributions=PARAMS,
    )


def test_the_first_noise_seed_is_the_main_run_s(config, monkeypatch):
    generated = []

    def recording(*inputs):
        results = make_distributions(*inputs)
        generated.append(pd.read_parquet(inputs[-1] / TABLE).query("origin == 'synthetic'"))
        return results

    monkeypatch.setattr(noise_seeds, "make_distributions", recording)
    results = measure_noise_seeds(config)["paintings"]
    folders = config.data, config.data / "distributions"
    main, _, _ = make_distributions(config.distributions, config.scores, config.select, *folders)
    assert results[0] == main
    assert results[1] != main != results[2] != results[1]
    assert [sorted(table["uid"]) for table in generated] == [sorted(generated[0]["uid"])] * 3
    assert pd.concat(generated)["key"].is_unique
    assert all(one["candidates"] == len(generated[0]) and one["sets"]["selected"]["n"] == 3 for one in results)
    assert measure_noise_seeds(config)["paintings"] == results
    assert "| noise seed 2 |" in noise_seeds_page(results)
