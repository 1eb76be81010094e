"""Paintings of a tiny project: the first is the main run's, the others are of the same captions, and all are measured alike."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synthpairs.distributions.make import TABLE, make_distributions
from synthpairs.images.make import make_images
from synthpairs.repaints import measure
from synthpairs.repaints.measure import Setting, measure_paintings
from synthpairs.repaints.page import repaints_page
from synthpairs.repaints.params import Repaints
from synthpairs.scores.score import score_images
from synthpairs.selection.make import make_selection
from tests.distributions.conftest import PARAMS
from tests.images.conftest import settings as images  # noqa: F401
from tests.scores.conftest import settings as scores  # noqa: F401
from tests.selection.conftest import data, settings  # noqa: F401


@pytest.fixture
def setting(data: Path, settings: Callable, images: Callable, scores: Callable) -> Setting:  # noqa: F811
    """A main run of one candidate a caption."""
    painted = images(candidates=1)
    captions = pd.read_parquet(data / "captions/kept.parquet")
    make_images(captions, painted, data / "images")
    score_images(pd.read_parquet(data / "images/manifest.parquet"), scores(), data / "images", data / "scores")
    make_selection(settings(), ["selected", "real"], data, data / "selected")
    return Setting(
        repaints=Repaints(paintings=3),
        data=data,
        images=painted,
        scores=scores(),
        select=settings(),
        distributions=PARAMS,
    )


def test_the_first_painting_is_the_main_run_s_and_the_others_are_not(setting, monkeypatch):
    tables = []

    def noted(params, asked, select, painting, out):
        told = make_distributions(params, asked, select, painting, out)
        tables.append(pd.read_parquet(out / TABLE))
        return told

    monkeypatch.setattr(measure, "make_distributions", noted)
    results = measure_paintings(setting)
    main, _, _ = make_distributions(
        setting.distributions, setting.scores, setting.select, setting.data, setting.data / "distributions"
    )
    assert results[0] == main
    assert results[1] != main != results[2] != results[1]
    generated = [table[table["origin"] == "synthetic"] for table in tables]
    assert [sorted(table["uid"]) for table in generated] == [sorted(generated[0]["uid"])] * 3
    keys = [set(table["key"]) for table in generated]
    assert not keys[0] & keys[1] | keys[1] & keys[2]
    assert all(one["candidates"] == len(generated[0]) and one["sets"]["selected"]["n"] == 3 for one in results)
    assert measure_paintings(setting) == results
    assert repaints_page(results) == repaints_page(results)


def test_one_painting_is_no_repaint():
    from synthpairs.params import convert

    with pytest.raises(ValueError, match=r"repaints\.paintings must be from 2 to 100, got 1"):
        convert(Repaints, {"paintings": 1}, "params.yaml: repaints")
