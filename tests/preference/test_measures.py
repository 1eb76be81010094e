"""Against scipy's and scikit-learn's own answers, and sums by hand."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from synthpairs.preference.measures import agreement, ahead, by_cluster, won


def test_ties_count_half_and_not_in_the_sign_test() -> None:
    scores = [1.0] * 8 + [0.5] * 5 + [0.0]
    told = won(scores, [str(place) for place in range(14)], 500, 0)
    assert (told["n"], told["wins"], told["ties"], told["losses"]) == (14, 8, 5, 1)
    assert told["rate"] == pytest.approx(10.5 / 14, abs=1e-4)
    tail = sum(math.comb(9, k) for k in (0, 1)) / 2**9  # at most one loss of nine
    assert told["p"] == pytest.approx(2 * tail, abs=1e-4)
    assert told["low"] < told["rate"] < told["high"]


def test_intervals_resample_concepts() -> None:
    scores = [1.0] * 20 + [0.0] * 20
    alone = won(scores, [str(place) for place in range(40)], 500, 0)
    together = won(scores, ["a"] * 10 + ["b"] * 10 + ["c"] * 10 + ["d"] * 10, 500, 0)
    assert together["high"] - together["low"] > 2 * (alone["high"] - alone["low"])
    assert together == won(scores, ["a"] * 10 + ["b"] * 10 + ["c"] * 10 + ["d"] * 10, 500, 0)


def test_all_ties_say_nothing() -> None:
    told = won([0.5] * 6, list("abcdef"), 200, 0)
    assert (told["rate"], told["p"], ahead(told)) == (0.5, 1.0, None)


def test_nothing_asked_has_no_rate() -> None:
    assert won([], [], 200, 0) == dict.fromkeys(("n", "wins", "ties", "losses"), 0) | dict.fromkeys(
        ("rate", "low", "high", "p")
    )


@pytest.mark.parametrize(
    ("numbers", "side"),
    [
        ({"rate": 0.7, "low": 0.6, "high": 0.8, "p": 0.01}, "synthetic"),
        ({"rate": 0.3, "low": 0.2, "high": 0.4, "p": 0.01}, "real"),
        ({"rate": 0.7, "low": 0.6, "high": 0.8, "p": 0.06}, None),
        ({"rate": 0.6, "low": 0.45, "high": 0.8, "p": 0.01}, None),
    ],
)
def test_a_side_is_ahead_where_both_tests_say_so(numbers: dict[str, float], side: str | None) -> None:
    assert ahead(numbers) == side


def test_concepts_add_up() -> None:
    told = by_cluster([1.0, 0.5, 0.0, 1.0], ["dog", "cat", "dog", "dog"])
    assert told == {"cat": {"wins": 0, "ties": 1, "losses": 0}, "dog": {"wins": 2, "ties": 0, "losses": 1}}


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.choice(["synthetic", "real", "tie"], 60, p=[0.5, 0.3, 0.2])
    other = np.where(rng.random(60) < 0.6, one, rng.choice(["synthetic", "real", "tie"], 60))
    told = agreement(list(one), list(other))
    assert told["kappa"] == pytest.approx(cohen_kappa_score(one, other), abs=1e-4)
    assert told["agreement"] == pytest.approx(np.mean(one == other), abs=1e-4)


def test_kappa_of_two_that_never_vary_is_none() -> None:
    assert agreement(["tie"] * 4, ["tie"] * 4) == {"n": 4, "agreement": 1.0, "kappa": None}
    assert agreement(["tie"] * 4, ["real"] * 4)["kappa"] == 0
