"""The smallest effect: the formula by hand, and the same as `compare` says for the same answers."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from synthpairs.planning.effects import DIFFER, effects
from synthpairs.significance import paired


def answers(seed: int, count: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = {"uid": [str(place) for place in range(count)], "concept": [str(place % 9) for place in range(count)]}
    return pd.DataFrame(rows | {"task": "desk_vqa", "blind": False, "score": rng.integers(0, 2, count).astype(float)})


def test_without_answers_a_share_that_differs_is_assumed(tmp_path: Path) -> None:
    (found,) = effects({"vqa": 400, "none": 0, "desk_caption": 300}, ["a", "b"], tmp_path)
    assert found.detectable == pytest.approx(
        (student.ppf(0.975, 399) + student.ppf(0.8, 399)) * math.sqrt(DIFFER / 400)
    )
    assert found.detectable == pytest.approx(2.81 * 0.025, rel=0.01)
    (more,) = effects({"vqa": 1600}, ["a", "b"], tmp_path)
    assert more.detectable == pytest.approx(found.detectable / 2, rel=0.01)


def test_with_answers_it_is_what_compare_says(tmp_path: Path) -> None:
    one, other = answers(0, 90), answers(1, 90)
    for name, table in (("selected", one), ("random", other)):
        blind = table.assign(blind=True, score=0.0)
        pd.concat([table, blind]).to_parquet(tmp_path / f"{name}.parquet")
    scores, others = one.set_index("uid")["score"], other.set_index("uid")["score"]
    expected = paired(scores, others, one["concept"].tolist(), resamples=100, seed=0).detectable
    (same,) = effects({"desk_vqa": 90}, ["selected", "random"], tmp_path)
    (four,) = effects({"desk_vqa": 360}, ["selected", "random"], tmp_path)
    assert (same.detectable, four.detectable) == (pytest.approx(expected), pytest.approx(expected / 2))
    assert same.told == "answers of selected and random"
